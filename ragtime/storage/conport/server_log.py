"""A decision log on a Context Portal server, for which nobody waits."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
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
from ragtime.storage.conport.connection import Server
from ragtime.storage.conport.journal import Tool
from ragtime.storage.conport.spool import Spool
from ragtime.storage.conport.tools import Tools, is_server_id
from ragtime.storage.conport.worker import Worker
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["ServerDecisionLog"]

_log = get_logger(__name__)

T = TypeVar("T")

_NEW = "new"  # stands for an id that is not given yet


class ServerDecisionLog:
    """Keeps a decision log on a Context Portal server; a ``ragtime.protocols.DecisionLog``.

    What is logged is written to a journal in the folder ``spool`` and sent by a thread of the log's own, which starts
    the server with the first entry. So no call that logs waits for the server, and nothing is lost when it fails: what
    it has not got stays in the journal, one warning tells how much and where, and the next log of the same folder sends
    it first. An entry whose answer got lost is looked for on the server before it is sent again. An entry that the
    server refuses does not hold up the others; it is tried again with the next two logs, then set aside in
    ``spool/refused``.

    A server that fails three times in a row is left alone until the next log. The reading methods, ``flush`` and
    ``close`` wait, for a limited time. A child process that uses the log has a journal, a thread and a server of its
    own.

    Attributes:
        folder: The folder; ``server.log`` in it is what the server said last on standard error.
        server: Where the server is.
        workspace_id: Workspace of the items.
    """

    def __init__(
        self,
        server: Server,
        folder: str | Path,
        *,
        workspace_id: str,
        timeout_seconds: float = 10.0,
        start_seconds: float = 90.0,
        retry_seconds: float = 1.0,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Prepare the log; nothing is started or written before something is logged.

        Args:
            server: Where the server is, a ``StdioServer`` or an ``HttpServer``.
            folder: Folder for what is on its way.
            workspace_id: Workspace of the items.
            timeout_seconds: Limit for one answer, and how long ``flush`` and ``close`` wait unless told otherwise.
            start_seconds: Limit for the start of the server, which may take half a minute the first time.
            retry_seconds: Pause after a failure of the server; it doubles with the next.
            clock: Returns the time, by which journals are ordered.

        Raises:
            MissingExtraError: The extra ``conport`` is not installed.
        """
        require("mcp", "conport")
        self.folder = Path(folder).absolute()
        self.server = server
        self.workspace_id = workspace_id
        self._timeout_seconds = timeout_seconds
        self._start_seconds = start_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._closed = False
        self._renew()
        _all.add(self)

    def _renew(self) -> None:
        """Begin with nothing on its way and no thread, as in a child process."""
        self._lock = threading.Lock()
        self._said = False
        self._logged = 0
        self._worker: Worker | None = None
        self._spool = Spool(self.folder / "spool", self._clock)

    def log_decision(
        self, summary: str, *, rationale: str | None = None, details: str | None = None, tags: Sequence[str] = ()
    ) -> ItemRef:
        """Log a decision; see ``ragtime.protocols.DecisionLog``."""
        check_tags(tags)
        made(Decision, id=_NEW, logged_at=self._clock(), summary=summary, rationale=rationale, details=details)
        ref = self._add(
            "log_decision",
            {"summary": summary, "rationale": rationale, "implementation_details": details, "tags": list(tags)},
        )
        return ItemRef(kind="decision", id=ref)

    def log_progress(self, description: str, *, status: ProgressStatus = "IN_PROGRESS") -> ItemRef:
        """Log that a piece of work is under way; see ``ragtime.protocols.DecisionLog``."""
        check_status(status)
        made(ProgressEntry, id=_NEW, logged_at=self._clock(), status=status, description=description)
        ref = self._add("log_progress", {"status": status, "description": description})
        return ItemRef(kind="progress_entry", id=ref)

    def update_progress(
        self, entry: ItemRef, *, status: ProgressStatus | None = None, description: str | None = None
    ) -> None:
        """Log how far a piece of work is by now; see ``ragtime.protocols.DecisionLog``."""
        check_change(entry, status, description)
        _check_ref(entry)
        changes = {"status": status, "description": description}
        given = {name: value for name, value in changes.items() if value is not None}
        self._add("update_progress", {"progress_id": entry.id, **given})

    def log_custom_data(self, category: str, key: str, value: JsonValue) -> ItemRef:
        """Log a JSON value under a category and a key; see ``ragtime.protocols.DecisionLog``."""
        check_data(category, value)
        data = made(CustomData, category=category, key=key, logged_at=self._clock(), value=value)
        self._add("log_custom_data", {"category": category, "key": key, "value": value})
        return data.ref

    def log_pattern(self, name: str, *, description: str | None = None, tags: Sequence[str] = ()) -> ItemRef:
        """Log something that keeps happening; see ``ragtime.protocols.DecisionLog``."""
        check_tags(tags)
        pattern = made(Pattern, name=name, logged_at=self._clock(), description=description, tags=tuple(tags))
        self._add("log_system_pattern", {"name": name, "description": description, "tags": list(tags)})
        return pattern.ref

    def link(self, source: ItemRef, target: ItemRef, relationship: str, *, description: str | None = None) -> None:
        """Log how two items hang together; see ``ragtime.protocols.DecisionLog``.

        What was just logged may be linked at once; the thread finds out how the server numbered it.
        """
        for item in (source, target):
            _check_ref(item)
        ends = {"source": source, "target": target}
        made(ItemLink, **ends, relationship=relationship, logged_at=self._clock(), description=description)
        self._add(
            "link_conport_items",
            {
                "source_item_type": source.kind,
                "source_item_id": source.id,
                "target_item_type": target.kind,
                "target_item_id": target.id,
                "relationship_type": relationship,
                "description": description,
            },
        )

    def decisions(self, limit: int | None = None, *, tags: Sequence[str] = ()) -> list[Decision]:
        """Read decisions, the newest first; see ``ragtime.protocols.DecisionLog``."""
        check_limit(limit)
        check_tags(tags)
        return self._ask("read_decisions", lambda tools: tools.decisions(tags))[:limit]

    def progress(self, limit: int | None = None) -> list[ProgressEntry]:
        """Read progress entries, the newest first; see ``ragtime.protocols.DecisionLog``."""
        check_limit(limit)
        return self._ask("read_progress", lambda tools: tools.progress())[:limit]

    def patterns(self, limit: int | None = None, *, tags: Sequence[str] = ()) -> list[Pattern]:
        """Read patterns, by name; see ``ragtime.protocols.DecisionLog``."""
        check_limit(limit)
        check_tags(tags)
        return self._ask("read_patterns", lambda tools: tools.patterns(tags))[:limit]

    def custom_data(self, category: str, key: str | None = None) -> list[CustomData]:
        """Read the values of a category, by key; see ``ragtime.protocols.DecisionLog``."""
        return self._ask("read_custom_data", lambda tools: tools.custom_data(category, key))

    def links(self, item: ItemRef) -> list[ItemLink]:
        """Read the links from and to an item, the oldest first; see ``ragtime.protocols.DecisionLog``.

        The items have the numbers that the server gave them.
        """
        return self._ask("read_links", lambda tools: tools.links(item))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has got what was logged, what earlier runs left included.

        Args:
            timeout: Longest wait, in seconds; ``None`` means `timeout_seconds`.

        Returns:
            Whether it has got all of it; what it has not stays in the journal.

        Raises:
            StorageError: The log is closed.
        """
        self._check_open()
        with log_operation(_log, "flush_decision_log", level=logging.DEBUG) as operation:
            if len(self._spool) or self._spool.has_leftovers:
                worker = self._working()
                worker.wait(self._timeout_seconds if timeout is None else timeout)
                self._say_what_waits(worker)
            operation.add(waiting=len(self._spool))
        return not len(self._spool)

    def close(self, timeout: float | None = None) -> None:
        """Wait until the server has got what was logged, end it, and keep what it has not got.

        Args:
            timeout: Longest wait for what was logged, in seconds; ``None`` means `timeout_seconds`. Ending a server
                takes two seconds more when it does not end by itself, and fifteen at the very most.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        with log_operation(_log, "close_decision_log", server=self.server.name) as operation:
            if self._worker is not None:
                self._worker.stop(self._timeout_seconds if timeout is None else timeout)
            waiting = len(self._spool)
            operation.add(logged=self._logged, sent=self._worker.sent if self._worker else 0, spooled=waiting)
            if waiting:
                self._say_what_waits(self._worker, at_the_end=True)
            self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"The decision log in {str(self.folder)!r} is closed; open it again")

    def _add(self, tool: Tool, arguments: dict[str, JsonValue]) -> str:
        with self._lock:
            self._check_open()
            with log_operation(_log, tool, level=logging.DEBUG) as operation:
                ref = self._spool.add(tool, arguments)
                self._logged += 1
                operation.add(ref=ref)
        self._working().wake()
        return ref

    def _working(self) -> Worker:
        with self._lock:
            if self._worker is None:
                self._worker = Worker(
                    self.server,
                    self._spool,
                    workspace_id=self.workspace_id,
                    start_seconds=self._start_seconds,
                    timeout_seconds=self._timeout_seconds,
                    retry_seconds=self._retry_seconds,
                )
            return self._worker

    def _ask(self, name: str, question: Callable[[Tools], Awaitable[T]]) -> T:
        self._check_open()
        limit = self._start_seconds + self._timeout_seconds
        with log_operation(_log, name, level=logging.DEBUG):
            try:
                return self._working().ask(question).result(limit)
            except TimeoutError:
                raise StorageError(f"The ConPort server could not be read within {limit:g} seconds") from None

    def _say_what_waits(self, worker: Worker | None, *, at_the_end: bool = False) -> None:
        """Say once that the server does not get what is logged."""
        reason = worker.failure if worker is not None else None
        with self._lock:
            if self._said or (reason is None and not at_the_end):
                return
            self._said = True
        _log.warning(
            "The ConPort server has not got all of the decision log: %s; the rest is kept, and sent with the next run",
            reason or "it refused some, or there was no time",
            extra={"count": len(self._spool), "path": str(self._spool.folder), "server": self.server.name},
        )


def _check_ref(item: ItemRef) -> None:
    numbered = item.kind in {"decision", "progress_entry"}
    if numbered and not is_server_id(item.id) and "-" not in item.id:
        raise InvalidArgumentError(f"This log has no {item.kind} {item.id[:100]!r}")


_all: weakref.WeakSet[ServerDecisionLog] = weakref.WeakSet()


_left_behind: list[object] = []


def _after_fork_in_child() -> None:
    for log in list(_all):
        # Never collected: the event loop of the parent's thread would be closed with it, and shares its descriptors.
        _left_behind.append(log._worker)  # noqa: SLF001 - our own
        log._renew()  # noqa: SLF001 - our own


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
