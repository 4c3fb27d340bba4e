"""Writing examples to a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.services.training_data_gen.example import TrainingExample, checked_examples
from ragtime.services.training_data_gen.export.formats import ExportFormat, format_of, open_objects, open_rows
from ragtime.services.training_data_gen.export.shapes import LeftOut, Shape, get_shape

__all__ = ["ExportReport", "export_examples"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        path: The file, or the folder.
        format: Its format.
        shape: The shape of its rows.
        examples: Examples that were given.
        rows: Rows that were written; an example can have several.
        left_out: Examples that the shape cannot express, by reason.
    """

    path: Path
    format: ExportFormat
    shape: str
    examples: int
    rows: int
    left_out: Mapping[str, int]


def export_examples(
    examples: Iterable[TrainingExample],
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - the word a caller expects
    shape: str = "pairs",
    safe_for_spreadsheets: bool = False,
) -> ExportReport:
    """Write examples to a file, one by one; it appears whole or not at all.

    Args:
        examples: The examples; read once.
        path: The file. With ``.gz`` at its end it is compressed; the same rows always give the same bytes.
        format: ``json``, ``jsonl``, ``csv``, ``parquet`` or ``datasets`` (a folder); ``None`` means that of the name's
            end.
        shape: What a row is; see ``get_shape``. ``examples`` has every field, and is what ``load_examples`` gives back
            whole.
        safe_for_spreadsheets: Whether cells of a CSV that a spreadsheet would compute get a ``'`` in front; not for
            training.

    Returns:
        What was written, and what the shape could not express.

    Raises:
        InvalidArgumentError: There is no such format or shape, or something given is no example.
        MissingExtraError: The package for the format is not installed.
        StorageError: The file cannot be written.
    """
    chosen, kind = get_shape(shape), format_of(path, format)
    if safe_for_spreadsheets and kind != "csv":
        raise InvalidArgumentError("Only a CSV can be made safe for spreadsheets")
    given, tally = checked_examples(examples), _Tally()
    with log_operation(_log, "export_training_data", path=str(path), shape=shape) as operation:
        if kind in {"json", "jsonl"}:
            with open_objects(path, kind) as write_object:
                for text in _objects(given, chosen, tally):
                    write_object(text)
        else:
            with open_rows(path, kind, chosen.columns, safe=safe_for_spreadsheets) as write_row:
                for row in _rows(given, chosen, tally):
                    write_row(row)
        operation.add(examples=tally.examples, rows=tally.rows)
    left_out = dict(sorted(tally.left_out.items()))
    return ExportReport(Path(path), kind, chosen.name, tally.examples, tally.rows, left_out)


@dataclass
class _Tally:
    examples: int = 0
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def _rows(examples: Iterable[TrainingExample], shape: Shape, tally: _Tally) -> Iterator[Mapping[str, Any]]:
    for example in examples:
        tally.examples += 1
        for row in shape.rows(example):
            if isinstance(row, LeftOut):
                tally.left_out[row.reason] += 1
            else:
                tally.rows += 1
                yield row


def _objects(examples: Iterable[TrainingExample], shape: Shape, tally: _Tally) -> Iterator[str]:
    if shape.name == "examples":  # which pydantic writes several times as fast
        for example in examples:
            tally.examples += 1
            tally.rows += 1
            yield example.model_dump_json()
    else:
        for row in _rows(examples, shape, tally):
            yield json.dumps(row, ensure_ascii=False)
