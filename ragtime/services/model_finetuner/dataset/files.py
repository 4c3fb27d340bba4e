"""Rows of the files that examples are exported to, and of files of one's own in the same formats."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.services.training_data_gen.export.formats import ExportFormat, format_of
from ragtime.services.training_data_gen.export.loading import rows_of_json
from ragtime.utils.extras import require
from ragtime.utils.files import parse_json_object

__all__ = ["TrainingFile", "open_training_file"]

_MANIFEST = "manifest.json"
_PART = "train"
_AS_PATH = "a text is taken as a path, and pairs of texts are given as tuples: [(query, response), …]"
_LONGEST_CELL = 2**31 - 1  # characters; the module would allow 128 KiB, and passages can be longer
_OBJECTS = ("metadata", "lineage")
_LISTS = ("negatives", "neg", "pos", "texts", "responses", "messages")
_NUMBERS = ("label", "score", "weight")
_NUMBER_LISTS = ("labels", "scores", "pos_scores", "neg_scores")
_STORED_AS_TEXT = {*_OBJECTS, *_LISTS, *_NUMBERS, *_NUMBER_LISTS}


class TrainingFile:
    """A file of rows, or a folder of format ``datasets``.

    Attributes:
        path: Where it is.
        dataset_id: Id of the data set of ragtime that it is a part of; ``None`` when it is of none.
    """

    def __init__(self, path: Path, kind: ExportFormat, dataset_id: str | None) -> None:
        """Keep what was found out about the file."""
        self.path = path
        self.dataset_id = dataset_id
        self._kind = kind

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Read the rows one by one; of a JSON list, all are in memory.

        Yields:
            The place of a row, for messages, and the row.

        Raises:
            InvalidArgumentError: A row is no object, or no JSON.
            MissingExtraError: The package for the format is not installed.
            StorageError: The file cannot be read.
        """
        number = 0
        try:
            for number, row in enumerate(self._rows(), start=1):
                place = f"{self.path}, row {number}"
                if not isinstance(row, Mapping):
                    raise InvalidArgumentError(f"{place}: expected an object, found {type(row).__name__}")
                yield place, row
        except json.JSONDecodeError:
            pass
        else:
            return
        # Out here: the error that led to it holds the whole text.
        raise InvalidArgumentError(f"{self.path}, after row {number}: no JSON")

    def _rows(self) -> Iterator[Any]:
        try:
            if self._kind == "parquet":
                parquet: Any = require("pyarrow.parquet", "finetune")
                with parquet.ParquetFile(self.path) as file:
                    for batch in file.iter_batches():
                        yield from map(_without_json, batch.to_pylist())
            elif self._kind == "datasets":
                yield from map(_without_json, self._folder())
            else:
                with _text(self.path) as lines:
                    yield from _READERS[self._kind](lines, self.path)
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise StorageError(f"The rows in {str(self.path)!r} cannot be read: {type(error).__name__}") from error

    def _folder(self) -> Iterator[Any]:
        datasets: Any = require("datasets", "finetune")
        found = datasets.load_from_disk(str(self.path))
        if isinstance(found, Mapping):
            raise InvalidArgumentError(
                f"{self.path} holds several splits: load it, and give one of {', '.join(map(str, found))}"
            )
        yield from found


def open_training_file(path: str | Path) -> TrainingFile:
    """Find out what a path holds.

    Args:
        path: A file whose name ends with ``.json``, ``.jsonl``, ``.ndjson``, ``.csv`` or ``.parquet``, the text formats
            with ``.gz`` behind it or not; a folder that ``datasets`` has saved; or a data set of ragtime, of which the
            part ``train`` is meant.

    Returns:
        The file; it has not been read yet.

    Raises:
        InvalidArgumentError: The name tells no format, or the folder is none of these.
        StorageError: There is no such file, or the manifest beside it cannot be read.
    """
    given = Path(path)
    try:
        is_there = given.exists()
    except OSError as error:  # such as a text that is too long for a name
        raise StorageError(f"{str(given)[:200]!r} cannot be read: {error.strerror}; {_AS_PATH}") from error
    if not is_there:
        raise StorageError(f"There is no file or folder {str(given)[:200]!r}; {_AS_PATH}")
    if given.is_dir() and _manifest(given) is not None:
        parts = sorted(one for one in given.glob(f"{_PART}.*") if not one.name.startswith("."))
        if len(parts) != 1:
            raise InvalidArgumentError(f"The data set {str(given)!r} has no part {_PART!r}; give the file of a part")
        given = parts[0]
    manifest = _manifest(given.parent)
    dataset_id = str(manifest["id"]) if manifest is not None and "id" in manifest else None
    if not given.is_dir():
        return TrainingFile(given, format_of(given), dataset_id)
    if not any((given / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
        raise InvalidArgumentError(f"The folder {str(given)!r} holds no data set; give a file, or a folder that does")
    return TrainingFile(given, "datasets", dataset_id)


def _manifest(folder: Path) -> Mapping[str, Any] | None:
    """Return the manifest of a data set of ragtime; ``None`` when the folder is none."""
    try:
        data = (folder / _MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"Cannot read {str(folder / _MANIFEST)!r}: {error.strerror}") from error
    try:
        found = parse_json_object(data)
    except InvalidArgumentError:  # a file of another program that has the same name
        return None
    return found if found.get("format") == "ragtime.dataset" else None


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    if path.name.lower().endswith(".gz"):
        with gzip.open(path) as packed, io.TextIOWrapper(packed, encoding="utf-8-sig", newline="") as file:
            yield file
    else:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield file


def _json(file: IO[str], path: Path) -> Iterator[Any]:
    found = rows_of_json(json.load(file))
    if not isinstance(found, list):
        raise InvalidArgumentError(f"{path}: expected a list of objects, found {type(found).__name__}")
    yield from found


def _jsonl(file: IO[str], _path: Path) -> Iterator[Any]:
    for line in file:
        if line.strip():
            yield json.loads(line)


def _csv(file: IO[str], path: Path) -> Iterator[Any]:
    reader = csv.DictReader(file)
    while True:
        former = csv.field_size_limit(_LONGEST_CELL)  # one for all of the process, so it is only changed for a row
        try:
            row = next(reader, None)
        finally:
            csv.field_size_limit(former)
        if row is None:
            return
        if None in row:
            raise InvalidArgumentError(f"{path}, line {reader.line_num}: more cells than the header has")
        cells: dict[str, Any] = {name: value if value != "" else None for name, value in row.items()}
        if cells.get("weak") is not None:
            cells["weak"] = cells["weak"] == "True"
        yield _without_json(cells)


_READERS: Mapping[str, Callable[[IO[str], Path], Iterator[Any]]] = {"json": _json, "jsonl": _jsonl, "csv": _csv}


def _without_json(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Parse the cells that stand as text since a column has one type; in a CSV, numbers do, too."""
    return {
        name: json.loads(value) if name in _STORED_AS_TEXT and isinstance(value, str) else value
        for name, value in row.items()
    }
