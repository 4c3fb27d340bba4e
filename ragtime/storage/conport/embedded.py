"""A decision log of JSON files that people can read, one a record."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import JsonValue, ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import Operation, log_operation
from ragtime.records.base import Record
from ragtime.records.conversation import now
from ragtime.records.decisions import (
    CustomData,
    Decision,
    ItemLink,
    ItemRef,
    Pattern,
    ProgressEntry,
    ProgressStatus,
)
from ragtime.storage.conport.arguments import check_change, check_data, check_limit, check_status, check_tags, made
from ragtime.storage.conport.file_names import file_name
from ragtime.utils.files import write_json

__all__ = ["JsonDecisionLog"]

_log = get_logger(__name__)

R = TypeVar("R", bound=Record)

_DECISIONS = "decisions"
_PROGRESS = "progress"
_PATTERNS = "patterns"
_DATA = "custom_data"
_LINKS = "links"


class JsonDecisionLog:
    """Keeps a decision log in a folder; a ``ragtime.protocols.DecisionLog``.

        >>> import tempfile
        >>> with JsonDecisionLog(tempfile.mkdtemp()) as log:
        ...     decision = log.log_decision("Use hard negatives", rationale="Random ones taught nothing")
        ...     run = log.log_custom_data("TrainingRuns", "run-1", {"examples": 200})
        ...     log.link(run, decision, "follows")
        ...     [link.relationship for link in log.links(decision)]
        ['follows']

    Decisions, progress entries and links are numbered in the order in which they came: ``decisions/000001.json``.
    Custom data and patterns go by their names. Safe for many threads and processes: a number belongs to whoever makes
    its file, and every file is written whole. What a call has returned from survives a crash of the machine.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: str | Path, *, clock: Callable[[], datetime] = now) -> None:
        """Prepare the log; the folder is made with the first record.

        Args:
            folder: The folder.
            clock: Returns the time of a record, in UTC.
        """
        self.folder = Path(folder).absolute()
        self._clock = clock
        self._closed = False

    def log_decision(
        self, summary: str, *, rationale: str | None = None, details: str | None = None, tags: Sequence[str] = ()
    ) -> ItemRef:
        """Log a decision; see ``ragtime.protocols.DecisionLog``."""
        check_tags(tags)
        decision = made(
            Decision, **self._new(), summary=summary, rationale=rationale, details=details, tags=tuple(tags)
        )
        with self._operation("log_decision") as operation:
            return self._add(_DECISIONS, decision, operation).ref

    def log_progress(self, description: str, *, status: ProgressStatus = "IN_PROGRESS") -> ItemRef:
        """Log that a piece of work is under way; see ``ragtime.protocols.DecisionLog``."""
        check_status(status)
        entry = made(ProgressEntry, **self._new(), status=status, description=description)
        with self._operation("log_progress") as operation:
            return self._add(_PROGRESS, entry, operation).ref

    def update_progress(
        self, entry: ItemRef, *, status: ProgressStatus | None = None, description: str | None = None
    ) -> None:
        """Log how far a piece of work is by now; see ``ragtime.protocols.DecisionLog``."""
        check_change(entry, status, description)
        with self._operation("update_progress", id=entry.id):
            path = self._existing(entry)
            changes = {"status": status, "description": description}
            former = _read(path, ProgressEntry)
            write_json(path, _json(former.model_copy(update={k: v for k, v in changes.items() if v is not None})))

    def log_custom_data(self, category: str, key: str, value: JsonValue) -> ItemRef:
        """Log a JSON value under a category and a key; see ``ragtime.protocols.DecisionLog``."""
        check_data(category, value)
        data = made(CustomData, category=category, key=key, logged_at=self._clock(), value=value)
        with self._operation("log_custom_data", category=category):
            write_json(self._path_of(data.ref), _json(data))
        return data.ref

    def log_pattern(self, name: str, *, description: str | None = None, tags: Sequence[str] = ()) -> ItemRef:
        """Log something that keeps happening; see ``ragtime.protocols.DecisionLog``."""
        check_tags(tags)
        pattern = made(Pattern, name=name, logged_at=self._clock(), description=description, tags=tuple(tags))
        with self._operation("log_pattern"):
            write_json(self._path_of(pattern.ref), _json(pattern))
        return pattern.ref

    def link(self, source: ItemRef, target: ItemRef, relationship: str, *, description: str | None = None) -> None:
        """Log how two items hang together; see ``ragtime.protocols.DecisionLog``."""
        link = made(
            ItemLink,
            source=source,
            target=target,
            relationship=relationship,
            logged_at=self._clock(),
            description=description,
        )
        with self._operation("link", relationship=relationship) as operation:
            for item in (source, target):
                self._existing(item)
            self._add(_LINKS, link, operation)

    def decisions(self, limit: int | None = None, *, tags: Sequence[str] = ()) -> list[Decision]:
        """Read decisions, the newest first; see ``ragtime.protocols.DecisionLog``."""
        check_limit(limit)
        check_tags(tags)
        with self._operation("read_decisions"):
            found = (decision for decision in self._newest(_DECISIONS, Decision) if {*tags} <= {*decision.tags})
            return _first(found, limit)

    def progress(self, limit: int | None = None) -> list[ProgressEntry]:
        """Read progress entries, the newest first; see ``ragtime.protocols.DecisionLog``."""
        check_limit(limit)
        with self._operation("read_progress"):
            return _first(self._newest(_PROGRESS, ProgressEntry), limit)

    def patterns(self, limit: int | None = None, *, tags: Sequence[str] = ()) -> list[Pattern]:
        """Read patterns, by name; see ``ragtime.protocols.DecisionLog``."""
        check_limit(limit)
        check_tags(tags)
        with self._operation("read_patterns"):
            found = (_read(path, Pattern) for path in _files(self.folder / _PATTERNS))
            chosen = [pattern for pattern in found if {*tags} <= {*pattern.tags}]
            return sorted(chosen, key=lambda pattern: pattern.name)[:limit]

    def custom_data(self, category: str, key: str | None = None) -> list[CustomData]:
        """Read the values of a category, by key; see ``ragtime.protocols.DecisionLog``."""
        with self._operation("read_custom_data", category=category):
            folder = self.folder / _DATA / file_name(category)
            paths = _files(folder) if key is None else [folder / f"{file_name(key)}.json"]
            found = [_read(path, CustomData) for path in paths if path.exists()]
            return sorted(found, key=lambda data: data.key)

    def links(self, item: ItemRef) -> list[ItemLink]:
        """Read the links from and to an item, the oldest first; see ``ragtime.protocols.DecisionLog``."""
        with self._operation("read_links"):
            found = [link for link in self._newest(_LINKS, ItemLink) if item in (link.source, link.target)]
            return found[::-1]

    def flush(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - there is nothing to wait for
        """Do nothing, since what was logged is on disk; see ``ragtime.protocols.DecisionLog``."""
        self._check_open()
        return True

    def close(self, timeout: float | None = None) -> None:  # noqa: ARG002 - there is nothing to wait for
        """Close the log; further calls fail."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"The decision log in {str(self.folder)!r} is closed; open it again")

    def _operation(self, name: str, **fields: Any) -> AbstractContextManager[Operation]:
        self._check_open()
        return log_operation(_log, name, level=logging.DEBUG, **fields)

    def _new(self) -> dict[str, Any]:
        return {"id": "new", "logged_at": self._clock()}

    def _add(self, kind: str, record: R, operation: Operation) -> R:
        """Write a record under the next number, which it gets as its id where it has one."""
        number, path = self._claim(self.folder / kind)
        if "id" in type(record).model_fields:
            record = record.model_copy(update={"id": str(number)})
        write_json(path, _json(record))
        operation.add(id=str(number))
        return record

    def _claim(self, folder: Path) -> tuple[int, Path]:
        """Make the file of the next number, empty for the moment; whoever makes it has the number."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            number = max(map(_number, _files(folder, numbered=True)), default=0)
            while True:
                number += 1
                path = folder / f"{number:06}.json"
                try:
                    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
                except FileExistsError:
                    continue
                return number, path
        except OSError as error:
            raise StorageError(f"Cannot write in {str(folder)!r}: {error.strerror or error}") from error

    def _newest(self, kind: str, model: type[R]) -> Iterator[R]:
        for path in sorted(_files(self.folder / kind, numbered=True), key=_number, reverse=True):
            if path.stat().st_size:  # a number whose writer has not got any further, or never will
                yield _read(path, model)

    def _path_of(self, item: ItemRef) -> Path:
        if item.kind == "custom_data":
            category, _, key = item.id.partition(":")
            return self.folder / _DATA / file_name(category) / f"{file_name(key)}.json"
        if item.kind == "system_pattern":
            return self.folder / _PATTERNS / f"{file_name(item.id)}.json"
        kind = {"decision": _DECISIONS, "progress_entry": _PROGRESS}.get(item.kind)
        if kind is None or not (item.id.isascii() and item.id.isdigit()):
            raise InvalidArgumentError(f"This log has no {item.kind} {item.id[:100]!r}")
        return self.folder / kind / f"{int(item.id):06}.json"

    def _existing(self, item: ItemRef) -> Path:
        path = self._path_of(item)
        if not path.exists():
            raise InvalidArgumentError(f"This log has no {item.kind} {item.id[:100]!r}")
        return path


def _json(record: Record) -> dict[str, Any]:
    return record.model_dump(mode="json")


def _number(path: Path) -> int:
    return int(path.stem)


def _files(folder: Path, *, numbered: bool = False) -> list[Path]:
    """List the records of a folder; hidden files are being written, others are somebody's own."""
    found = [path for path in folder.glob("*.json") if not path.name.startswith(".")]
    return [path for path in found if path.stem.isdigit()] if numbered else found


def _first(found: Iterator[R], limit: int | None) -> list[R]:
    return [record for _, record in zip(range(limit), found, strict=False)] if limit is not None else list(found)


def _read(path: Path, model: type[R]) -> R:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StorageError(f"Cannot read {str(path)!r}: {error.strerror or error}") from error
    except ValidationError as error:
        message = f"{str(path)!r} is no {model.__name__} ({error.error_count()} problems); repair it or remove it"
    raise StorageError(message)  # out here: the error that led to it holds the text
