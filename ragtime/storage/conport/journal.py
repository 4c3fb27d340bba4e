"""What is on its way to a server, in a file: nothing that was logged is lost when a process or a server dies.

A journal belongs to one log of one process, which holds it locked. It is a file of JSON lines that is only appended to:

    {"entry": {"ref": "20261122T184228-817-5c1f-0001", "tool": "log_decision", "arguments": {…}}}
    {"refused": "20261122T184228-817-5c1f-0001", "reason": "…"}
    {"sent": "20261122T184228-817-5c1f-0001", "id": "17"}

When the owner is gone, so is its lock, and another log of the same folder adopts the journal and sends what is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import weakref
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, JsonValue, ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records.base import Identifier, Record, freeze
from ragtime.utils.files import parse_json_object

__all__ = ["Entry", "Journal", "Tool"]

Tool = Literal[
    "log_decision",
    "log_progress",
    "update_progress",
    "log_custom_data",
    "log_system_pattern",
    "link_conport_items",
]
"""The tools of the server that change something."""


class Entry(Record):
    """One call to the server that is to be made.

    Attributes:
        ref: The log's own id of it; later entries of a journal have higher ones.
        tool: Which tool is called.
        arguments: With what, but for the workspace; items of this log stand under their own ids.
    """

    ref: Identifier
    tool: Tool
    arguments: Annotated[Mapping[str, JsonValue], AfterValidator(freeze)]


class Journal:
    """The entries of one log that the server has not got, and the numbers of those that it has.

    Attributes:
        path: The file.
        waiting: What the server has not got, by id, in the order in which it was logged.
        ids: The server's number of each item that it got, by the log's own id.
        refusals: How often the server refused each entry, by id.
        damaged: Lines that could not be read.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take over a file that is open and locked.

        Args:
            path: The file.
            descriptor: Its descriptor, which the journal closes.
        """
        self.path = path
        self.waiting: dict[str, Entry] = {}
        self.ids: dict[str, str] = {}
        self.refusals: Counter[str] = Counter()
        self.damaged = 0
        self._lock = threading.Lock()
        self._descriptor: int | None = descriptor
        self._length = 0
        _open.add(self)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a journal; nobody can see it before it is locked.

        Args:
            path: The file, which must not be there.

        Returns:
            The journal.

        Raises:
            StorageError: It cannot be made.
        """
        hidden = path.with_name(f".{path.name}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise StorageError(f"Cannot write {str(path)!r}: {error.strerror or error}") from error
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Take over a journal whose owner is gone.

        Args:
            path: The file.

        Returns:
            The journal; ``None`` when its owner lives, it is gone meanwhile, or it is another user's.

        Raises:
            StorageError: It cannot be read.
        """
        try:
            descriptor = os.open(path, os.O_RDWR)
        except (FileNotFoundError, PermissionError):
            return None
        except OSError as error:
            raise StorageError(f"Cannot read {str(path)!r}: {error.strerror or error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        journal = cls(path, descriptor)
        journal._read()
        return journal

    def add(self, entry: Entry) -> None:
        """Keep an entry; it is on disk when this returns.

        Args:
            entry: The entry.

        Raises:
            StorageError: It cannot be written, or the journal is closed.
        """
        with self._lock:
            self._append({"entry": entry.model_dump(mode="json")}, durable=True)
            self.waiting[entry.ref] = entry

    def note_sent(self, ref: str, server_id: str | None) -> None:
        """Note that the server has got an entry, and under which number, if it has one."""
        with self._lock:
            # A lost line costs a question to the server, see Delivery, so there is no need to wait for the disk.
            self._append({"sent": ref, "id": server_id}, durable=False)
            self._sent(ref, server_id)

    def note_refused(self, ref: str, reason: str) -> None:
        """Note that the server refused an entry."""
        with self._lock:
            self._append({"refused": ref, "reason": reason}, durable=False)
            self.refusals[ref] += 1

    def close(self) -> None:
        """Unlock the journal; one that has nothing left is removed, one with damaged lines is set aside."""
        with self._lock:
            if self._descriptor is None:
                return
            try:
                if self.damaged and not self.waiting:
                    self.path.rename(self.path.with_suffix(".damaged"))
                elif not self.waiting:
                    self.path.unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(f"Cannot remove {str(self.path)!r}: {error.strerror or error}") from error
            finally:
                self._close_descriptor()

    def abandon(self) -> None:
        """Close the file without a word to its owner, who lives in another process; see ``_after_fork_in_child``."""
        self._lock = threading.Lock()
        self._close_descriptor()

    def _close_descriptor(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)  # a lock is gone when the last process that has it closes it
            self._descriptor = None

    def _append(self, line: dict[str, Any], *, durable: bool) -> None:
        if self._descriptor is None:
            raise StorageError(f"The journal {str(self.path)!r} is closed")
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        data = text.encode("utf-8", "backslashreplace") + b"\n"  # what a server says may hold lone surrogates
        try:
            _write(self._descriptor, data, self._length)
            if durable:
                os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._length)
            raise StorageError(f"Cannot write {str(self.path)!r}: {error.strerror or error}") from error
        self._length += len(data)

    def _read(self) -> None:
        descriptor = self._descriptor
        if descriptor is None:
            return
        with os.fdopen(os.dup(descriptor), "rb") as file:
            *lines, torn = file.read().split(b"\n")
            self._length = file.tell() - len(torn)  # a line that its writer did not finish was never acknowledged
        os.ftruncate(descriptor, self._length)
        for line in lines:
            try:
                self._take_in(parse_json_object(line))
            except (InvalidArgumentError, ValidationError, KeyError):
                self.damaged += 1

    def _take_in(self, line: dict[str, Any]) -> None:
        if "entry" in line:
            entry = Entry.model_validate_json(json.dumps(line["entry"]))
            self.waiting[entry.ref] = entry
        elif "refused" in line:
            self.refusals[str(line["refused"])] += 1
        else:
            self._sent(str(line["sent"]), line["id"])

    def _sent(self, ref: str, server_id: str | None) -> None:
        self.waiting.pop(ref, None)
        if server_id is not None:
            self.ids[ref] = server_id


def _write(descriptor: int, data: bytes, position: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, position)
        view, position = view[written:], position + written


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_open: weakref.WeakSet[Journal] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # A child that kept the descriptor would keep the lock, too, and nobody could adopt the journal while it lives.
    for journal in list(_open):
        journal.abandon()
    _open.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
