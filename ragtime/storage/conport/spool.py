"""The journals of a folder: the log's own, and those it has adopted, which go first."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.storage.conport.journal import Entry, Journal, Tool
from ragtime.utils.files import write_text

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["Spool"]

_log = get_logger(__name__)

_ENDING = ".jsonl"
_MOST_REFUSALS = 3  # then an entry is set aside, or it would be sent with every run for ever


class Spool:
    """Holds what the server has not got.

    Attributes:
        folder: The folder of the journals; entries that the server refused too often go to ``refused`` in it.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        """Prepare; the first entry makes a journal.

        Args:
            folder: The folder.
            clock: Returns the time, by which journals are ordered.
        """
        self.folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._own: Journal | None = None
        self._adopted: list[Journal] = []
        self._numbers = 0
        self._kept = 0  # entries that the server had refused when the spool was closed

    def add(self, tool: Tool, arguments: dict[str, JsonValue]) -> str:
        """Keep an entry.

        Args:
            tool: Which tool is called.
            arguments: With what.

        Returns:
            The log's own id of it.

        Raises:
            StorageError: It cannot be written.
        """
        with self._lock:
            if self._own is None:
                name = f"{self._clock():%Y%m%dT%H%M%S%f}-{os.getpid()}-{secrets.token_hex(4)}"
                self._own = Journal.create(self.folder / f"{name}{_ENDING}")
            self._numbers += 1
            entry = Entry(ref=f"{self._own.path.stem}-{self._numbers:04}", tool=tool, arguments=arguments)
            self._own.add(entry)
            return entry.ref

    def adopt(self) -> int:
        """Take over the journals whose owners are gone; return how many entries are left in them."""
        own = self._own
        for path in sorted(self.folder.glob(f"*{_ENDING}")):
            if own is not None and path == own.path:
                continue
            journal = Journal.adopt(path)
            if journal is None:
                continue
            if journal.damaged:
                _log.warning(
                    "Lines of a journal of decisions cannot be read; the file is kept",
                    extra={"count": journal.damaged, "path": str(path)},
                )
            with self._lock:
                self._adopted.append(journal)
        return sum(len(journal.waiting) for journal in self._adopted)

    def first(self, passed_over: set[str]) -> Entry | None:
        """Return the oldest entry that is not among those passed over; ``None`` when there is none."""
        with self._lock:
            return next((entry for entry in self._entries() if entry.ref not in passed_over), None)

    def is_adopted(self, entry: Entry) -> bool:
        """Tell whether an entry was logged before this log, so that the server may have got it unbeknown."""
        return any(entry.ref in journal.waiting for journal in self._adopted)

    def server_id(self, ref: str) -> str | None:
        """Return the server's number of an item of this log; ``None`` while it is not known."""
        found = (journal.ids.get(ref) for journal in self._journals())
        return next((number for number in found if number is not None), None)

    def note_sent(self, entry: Entry, server_id: str | None) -> None:
        """Note that the server has got an entry."""
        self._journal_of(entry).note_sent(entry.ref, server_id)

    def note_refused(self, entry: Entry, reason: str) -> None:
        """Note that the server refused an entry; after the third time it is set aside.

        Args:
            entry: The entry.
            reason: What the server said.

        Raises:
            StorageError: The note cannot be written.
        """
        journal = self._journal_of(entry)
        journal.note_refused(entry.ref, reason)
        if journal.refusals[entry.ref] < _MOST_REFUSALS:
            return
        path = self.folder / "refused" / f"{entry.ref}.json"
        told = {"entry": entry.model_dump(mode="json"), "reason": reason}
        write_text(path, json.dumps(told, indent=2) + "\n")  # in ASCII: the reason is the server's, whatever it holds
        journal.note_sent(entry.ref, None)
        _log.warning(
            "The ConPort server refused an entry of the decision log for the third time; it is set aside",
            extra={"tool": entry.tool, "path": str(path)},
        )

    def __len__(self) -> int:
        """Count the entries that the server has not got."""
        return self._kept + sum(len(journal.waiting) for journal in self._journals())

    @property
    def has_leftovers(self) -> bool:
        """Whether there are journals besides the log's own, be they adopted or not."""
        own = self._own
        return any(own is None or path != own.path for path in self.folder.glob(f"*{_ENDING}"))

    def close(self) -> None:
        """Unlock all journals, so that the next log adopts what is left; the count of it stays."""
        with self._lock:
            left = len(self)
            for journal in self._journals():
                journal.close()
            self._own, self._adopted, self._kept = None, [], left

    def _journals(self) -> list[Journal]:
        return [*self._adopted, *([self._own] if self._own is not None else [])]

    def _entries(self) -> Iterator[Entry]:
        for journal in self._journals():
            yield from journal.waiting.values()

    def _journal_of(self, entry: Entry) -> Journal:
        for journal in self._journals():
            if entry.ref in journal.waiting:
                return journal
        raise StorageError(f"The journal of {entry.ref} in {str(self.folder)!r} is closed")
