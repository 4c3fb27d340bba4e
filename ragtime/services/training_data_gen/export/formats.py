"""The formats in which rows are written, one by one: JSON, JSON Lines, CSV, Parquet, and folders of Hugging Face."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, get_args

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.utils.extras import require
from ragtime.utils.files import atomic_writer

__all__ = ["ExportFormat", "format_of", "open_objects", "open_rows"]

ExportFormat = Literal["json", "jsonl", "csv", "parquet", "datasets"]
"""``datasets`` is a folder that ``datasets.load_from_disk`` reads."""

Row = Mapping[str, Any]
_SUFFIXES: Mapping[str, ExportFormat] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet compute a cell
_ROW_GROUP = 1000


def format_of(path: str | Path, given: str | None = None) -> ExportFormat:
    """Return the format of a file.

    Args:
        path: The file; ``.gz`` at its end does not count, but that Parquet cannot have it.
        given: The format that the caller named; ``None`` means that of the name's end.

    Returns:
        The format.

    Raises:
        InvalidArgumentError: There is no such format, the name's end is none, or it is that of a Parquet
            file and tells of gzip.
    """
    found = _named_format(path) if given is None else _given_format(given)
    if found == "parquet" and Path(path).name.lower().endswith(".gz"):
        raise InvalidArgumentError(
            f"The name {Path(path).name[:100]!r} ends with .gz, but Parquet compresses itself; leave the .gz out"
        )
    return found


def _given_format(given: str) -> ExportFormat:
    if given not in get_args(ExportFormat):
        raise InvalidArgumentError(
            f"There is no format {str(given)[:50]!r}; there are {', '.join(get_args(ExportFormat))}"
        )
    return given  # type: ignore[return-value]  # just checked


def _named_format(path: str | Path) -> ExportFormat:
    name = Path(path).name.lower().removesuffix(".gz")
    found = _SUFFIXES.get(Path(name).suffix)
    if found is None:
        raise InvalidArgumentError(
            f"The name {Path(path).name[:100]!r} tells no format; end it with {', '.join(_SUFFIXES)}, or give format="
        )
    return found


@contextmanager
def open_objects(path: str | Path, kind: ExportFormat) -> Iterator[Callable[[str], None]]:
    """Write JSON objects to a file that appears when the ``with`` block ends well.

    Args:
        path: The file; with ``.gz`` at its end it is compressed, the same objects always to the same bytes.
        kind: ``json``, a list, or ``jsonl``, one a line.

    Yields:
        What writes an object, given as a text of one line.

    Raises:
        StorageError: The file cannot be written.
    """
    with _text(path) as file:
        if kind == "jsonl":
            yield lambda text: _write_line(file, text)
        else:
            with _array(file) as write:
                yield write


@contextmanager
def open_rows(
    path: str | Path, kind: ExportFormat, columns: Sequence[str], *, safe: bool = False
) -> Iterator[Callable[[Row], None]]:
    """Write rows to a table that appears when the ``with`` block ends well.

    Args:
        path: The file, or the folder; a CSV with ``.gz`` at its end is compressed.
        kind: ``csv``, ``parquet`` or ``datasets``.
        columns: Names of the columns, in order.
        safe: Whether cells of a CSV that a spreadsheet would compute get a ``'`` in front; training files stay as
            they are.

    Yields:
        What writes a row, which has a value for each column.

    Raises:
        MissingExtraError: The package for the format is not installed.
        StorageError: The file cannot be written.
    """
    if kind == "parquet":
        with _parquet(path, columns) as write:
            yield write
    elif kind == "datasets":
        with _datasets(path, columns) as write:
            yield write
    else:
        with _text(path) as file:
            yield _csv(file, columns, safe=safe)


@contextmanager
def _text(path: str | Path) -> Iterator[IO[str]]:
    if not str(path).lower().endswith(".gz"):
        with atomic_writer(path) as file:
            yield file
        return
    with (
        atomic_writer(path, text=False) as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
    ):
        yield file


def _write_line(file: IO[str], text: str) -> None:
    file.write(text + "\n")


@contextmanager
def _array(file: IO[str]) -> Iterator[Callable[[str], None]]:
    before = "[\n"

    def write(text: str) -> None:
        nonlocal before
        file.write(before + text)
        before = ",\n"

    yield write
    file.write("[]\n" if before == "[\n" else "\n]\n")


def _csv(file: IO[str], columns: Sequence[str], *, safe: bool) -> Callable[[Row], None]:
    writer = csv.writer(file)
    writer.writerow(columns)

    def cell(value: Any) -> Any:
        if isinstance(value, str):
            return "'" + value if safe and value.startswith(_FORMULA) else value
        if value is None or isinstance(value, float | int):
            return value
        return json.dumps(value, ensure_ascii=False)

    return lambda row: writer.writerow([cell(row[name]) for name in columns])


@contextmanager
def _parquet(path: str | Path, columns: Sequence[str]) -> Iterator[Callable[[Row], None]]:
    arrow: Any = require("pyarrow", "finetune")
    parquet: Any = require("pyarrow.parquet", "finetune")
    text, number = arrow.string(), arrow.float64()
    said = arrow.struct([("role", text), ("content", text)])
    types = {"label": number, "weight": number, "weak": arrow.bool_(), "labels": arrow.list_(number)}
    types |= {"negatives": arrow.list_(text), "responses": arrow.list_(text), "messages": arrow.list_(said)}
    # Not left to the first rows, where a column may be empty.
    schema = arrow.schema([(name, types.get(name, text)) for name in columns])
    waiting: list[Row] = []
    with atomic_writer(path, text=False) as file, parquet.ParquetWriter(file, schema) as writer:

        def flush() -> None:
            writer.write_table(arrow.Table.from_pylist([_flat(row) for row in waiting], schema=schema))
            waiting.clear()

        def write(row: Row) -> None:
            waiting.append(row)
            if len(waiting) >= _ROW_GROUP:
                flush()

        yield write
        flush()


def _flat(row: Row) -> dict[str, Any]:
    """Write objects of any shape as JSON texts, for a column has one type."""
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()}


@contextmanager
def _datasets(path: str | Path, columns: Sequence[str]) -> Iterator[Callable[[Row], None]]:
    package: Any = require("datasets", "finetune")
    target = Path(path)
    if target.exists():
        raise StorageError(f"The folder {str(target)!r} exists; remove it, or name another")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".datasets-", dir=target.parent) as folder:
        rows, made = Path(folder, "rows.parquet"), Path(folder, "made")
        with _parquet(rows, columns) as write:
            yield write
        with _without_bars(package):
            package.Dataset.from_parquet(str(rows), cache_dir=str(Path(folder, "cache"))).save_to_disk(str(made))
        made.rename(target)


@contextmanager
def _without_bars(package: Any) -> Iterator[None]:
    shown = package.is_progress_bar_enabled()
    package.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            package.enable_progress_bars()
