"""Reading examples that exist already."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.given import (
    UnusableError,
    as_path,
    made,
    numbered,
    read_json_lines,
    read_json_list,
    repeatable,
)
from ragtime.services.training_data_gen.sources.items import BadRecord

__all__ = ["example_reader"]

_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")
_EXPECTED = "a list of TrainingExample or their dicts, or a path"
_JSON_CELLS = ("negatives", "metadata", "lineage")


def example_reader(given: object) -> Callable[[], Iterator[TrainingExample | BadRecord]]:
    """Check what was given as examples.

    Args:
        given: A list of ``TrainingExample`` or of the dicts that ``model_dump`` makes of them; or a file with such
            dicts: JSON Lines, a JSON list, or a CSV whose cells for lists and objects are JSON and whose empty cells
            stand for defaults.

    Returns:
        What reads the examples.

    Raises:
        InvalidArgumentError: It is nothing of that.
    """
    path = as_path(given, "examples", suffixes=_SUFFIXES)
    if path is not None:
        return partial(_read_file, path)
    return partial(_read_items, repeatable(given, "examples", _EXPECTED))


def _read_file(path: Path) -> Iterator[TrainingExample | BadRecord]:
    suffix = path.suffix.lower()
    read = {".csv": _read_csv, ".json": read_json_list}.get(suffix, read_json_lines)
    yield from _read_records(read(path, path.name))


def _read_items(items: Iterable[object]) -> Iterator[TrainingExample | BadRecord]:
    yield from _read_records(numbered(items, "examples"))


def _read_records(records: Iterable[tuple[str, object]]) -> Iterator[TrainingExample | BadRecord]:
    for where, record in records:
        yield record if isinstance(record, BadRecord) else made(partial(_example, record), where)


def _example(record: object) -> TrainingExample:
    if isinstance(record, TrainingExample):
        return record
    if not isinstance(record, Mapping):
        raise UnusableError("record is neither an example nor an object")
    if "messages" in record and "query" not in record:
        raise UnusableError("record is a chat of messages, not an example")
    return TrainingExample(**{str(name): value for name, value in record.items()})


def _read_csv(path: Path, name: str) -> Iterator[tuple[str, object]]:
    where = name
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            for row in rows:
                where = f"{name}, line {rows.line_num}"
                yield where, _cells(row, where)
    except OSError:
        yield name, BadRecord("file cannot be read", name)
    except UnicodeDecodeError:
        yield where, BadRecord("file is no text in UTF-8; the rest of it is not read", where)
    except csv.Error:  # after which nobody knows where the next row begins
        yield where, BadRecord("file is no CSV, or has a cell of over 128 KiB; the rest of it is not read", where)


def _cells(row: Mapping[str | None, Any], where: str) -> dict[str, Any] | BadRecord:
    if None in row or None in row.values():
        return BadRecord("row has not the cells of the header", where)
    cells: dict[str, Any] = {str(name): cell for name, cell in row.items() if cell != ""}
    for name in _JSON_CELLS:
        if name in cells:
            try:
                cells[name] = json.loads(cells[name])
            except (ValueError, RecursionError):
                return BadRecord(f"{name} is no JSON", where)
    return cells
