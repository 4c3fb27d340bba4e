"""Reading examples from the files that were written of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.export.formats import format_of
from ragtime.services.training_data_gen.export.shapes import SHAPES
from ragtime.utils.extras import require

__all__ = ["iter_examples", "load_examples", "rows_of_json"]

_LONGEST_CELL = 2**31 - 1  # characters; the module would allow 128 KiB, and passages can be longer
_ONE_WAY = ("messages", "preferences")
_JSON_CELLS = ("negatives", "metadata", "lineage")
_OLD_NAMES = {"anchor": "query", "document": "response", "positive": "response"}
_OLD_PAIRS = "training_pairs"
_READERS: dict[str, Callable[[IO[str]], Iterator[Any]]] = {}


def load_examples(path: str | Path, *, format: str | None = None) -> list[TrainingExample]:  # noqa: A002 - as for export
    """Read all examples of a file; see ``iter_examples``."""
    return list(iter_examples(path, format=format))


def iter_examples(path: str | Path, *, format: str | None = None) -> Iterator[TrainingExample]:  # noqa: A002 - as for export
    """Read the examples of a file one by one; of JSON and Parquet, all rows are in memory.

    Of the shape ``examples`` they come back equal in every field. Other shapes hold less: ``pairs``, ``triplets``,
    ``N-tuples``, ``labelled_pairs`` and ``scored_lists`` give examples without strategy and lineage. ``messages`` and
    ``preferences`` cannot be read back: nothing in them tells the query from what preceded it.

    The exports of the old modules are read, too: CSV of pairs and of triplets, and JSON, where the type of a pair and
    its rating become metadata.

    Args:
        path: The file, ``.gz`` included, or the folder of format ``datasets``.
        format: As for ``export_examples``.

    Yields:
        The examples.

    Raises:
        InvalidArgumentError: There is no such format, the file holds chats or preferences, or a row is no example;
            names which.
        MissingExtraError: The package for the format is not installed.
        StorageError: The file cannot be read.
    """
    for number, row in enumerate(_rows(Path(path), format_of(path, format)), start=1):
        if shape := _without_queries(row):
            raise InvalidArgumentError(
                f"{path}, row {number}: found a row of shape {shape!r}, which cannot be read back as an example; load "
                "a file of shape 'examples', which has every field"
            )
        try:
            yield TrainingExample(**_fields(row))
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in problems)
        except (TypeError, KeyError, ValueError) as error:
            told = f"it is no example ({type(error).__name__})"
        else:
            continue
        raise InvalidArgumentError(f"{path}, row {number}: {told}")


def _rows(path: Path, kind: str) -> Iterator[Any]:
    try:
        if kind == "parquet":
            parquet: Any = require("pyarrow.parquet", "finetune")
            yield from (_unflat(row) for row in parquet.read_table(path).to_pylist())
        elif kind == "datasets":
            datasets: Any = require("datasets", "finetune")
            yield from (_unflat(row) for row in datasets.load_from_disk(str(path)))
        else:
            with _text(path) as file:
                yield from _READERS[kind](file)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise StorageError(f"The examples in {str(path)!r} cannot be read: {type(error).__name__}") from error
    except json.JSONDecodeError as error:
        raise InvalidArgumentError(f"{path}, line {error.lineno}: no JSON") from None


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    if path.name.lower().endswith(".gz"):
        with gzip.open(path) as packed, io.TextIOWrapper(packed, encoding="utf-8", newline="") as file:
            yield file
    else:
        with path.open(encoding="utf-8", newline="") as file:
            yield file


def _json(file: IO[str]) -> Iterator[Any]:
    found = rows_of_json(json.load(file))
    if not isinstance(found, list):
        raise InvalidArgumentError("A JSON file of examples is a list of objects")
    yield from found


def rows_of_json(found: Any) -> Any:
    """Return the rows in what a JSON file holds.

    Args:
        found: What it holds.

    Returns:
        The same, but for an export of the old modules, which has its rows in an object: they come with the fields of
        examples, pair type and rating in the metadata, and the document in the lineage.
    """
    pairs = found.get(_OLD_PAIRS) if isinstance(found, Mapping) else None
    return found if not isinstance(pairs, list) else [_of_old_pair(pair) for pair in pairs]


def _of_old_pair(pair: Any) -> Any:
    if not isinstance(pair, Mapping):
        return pair
    row = {_OLD_NAMES.get(name, name): pair[name] for name in ("query", "document", "label") if name in pair}
    metadata = pair.get("metadata")
    if isinstance(metadata, Mapping) and isinstance(metadata.get("document_id"), str):
        row["lineage"] = {"document_ids": [metadata["document_id"]]}
    extras = {name: pair[name] for name in ("pair_type", "rating") if pair.get(name) is not None}
    row["metadata"] = {**metadata, **extras} if isinstance(metadata, Mapping) else metadata or extras
    return row


def _jsonl(file: IO[str]) -> Iterator[Any]:
    for line in file:
        if line.strip():
            yield json.loads(line)


def _csv(file: IO[str]) -> Iterator[Any]:
    reader = csv.DictReader(file)
    while True:
        former = csv.field_size_limit(_LONGEST_CELL)  # one for all of the process, so it is only changed for a row
        try:
            row = next(reader, None)
        finally:
            csv.field_size_limit(former)
        if row is None:
            return
        cells: dict[str, Any] = {name: value for name, value in row.items() if value != ""}
        for name in (*_JSON_CELLS, "responses", "labels"):
            if name in cells:
                cells[name] = json.loads(cells[name])
        if "weak" in cells:
            cells["weak"] = cells["weak"] == "True"
        yield cells


_READERS.update(json=_json, jsonl=_jsonl, csv=_csv)


def _unflat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.loads(value) if name in _JSON_CELLS and isinstance(value, str) else value
        for name, value in row.items()
    }


def _without_queries(row: Any) -> str | None:
    """Return the shape of a row when it is one that says no more what was the query; ``None`` for all others."""
    if not isinstance(row, Mapping) or "query" in row:
        return None
    return next((name for name in _ONE_WAY if all(column in row for column in SHAPES[name].columns)), None)


def _fields(row: Any) -> dict[str, Any]:
    """Return the fields of an example from a row of any shape that has a query and a response."""
    if not isinstance(row, Mapping):
        raise TypeError("a row is an object")
    fields = {name: value for name, value in row.items() if name in TrainingExample.model_fields or name == "id"}
    fields |= {name: row[old] for old, name in _OLD_NAMES.items() if old in row and name not in row}
    negatives = [value for name, value in row.items() if name.startswith("negative_") or name == "negative"]
    if negatives:
        fields["negatives"] = tuple(negatives)
    if "responses" in row:
        fields |= {"response": row["responses"][0], "negatives": tuple(row["responses"][1:]), "label": row["labels"][0]}
    if "query" not in fields or "response" not in fields:
        raise KeyError("query and response")
    return fields
