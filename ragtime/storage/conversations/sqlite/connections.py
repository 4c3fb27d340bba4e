"""Connections of one process to one file: borrowed for a moment, never carried into a child process.

SQLite keeps its locks in the memory of the process, so a child that inherits a connection, open or not in use, believes
to hold locks that it does not hold. So before a fork all connections are closed, and both sides open new ones.

An interrupt (Ctrl-C) may end a thread between any two steps, while it returns what it has borrowed, too; nobody may
wait for that loan ever after. So a thread does not wait for loans of its own, nor for one that is no more.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from ragtime.errors import StorageError
from ragtime.storage.conversations.sqlite.descriptors import connection_closed, connection_opened
from ragtime.storage.conversations.sqlite.errors import cause_to_show, missing_row, storage_error
from ragtime.storage.conversations.sqlite.schema import check_header, migrate

__all__ = ["Connections"]

_KEPT = 8  # idle connections; each has a cache of its own
_CACHE_KIB = 16_384
_LARGEST_LOG = 64 << 20  # bytes that the write-ahead log keeps when it is empty
_LOG_PAGES = 4000  # after which it is written back: four times what SQLite does, for the same few pages change
_RETRY_SECONDS = 0.01
_LOOK_SECONDS = 0.1  # after which who waits looks again; it matters only after an interrupt


class Connections:
    """Lends connections to one file.

    Attributes:
        path: The file.
        busy_seconds: How long a statement waits for other processes.
        clock: Returns seconds.
    """

    def __init__(self, path: Path, *, synchronous: str, busy_seconds: float, clock: Callable[[], float]) -> None:
        """Prepare; nothing is opened yet.

        Args:
            path: The file.
            synchronous: ``NORMAL`` or ``FULL``.
            busy_seconds: How long to wait for other processes.
            clock: Returns seconds.
        """
        self.path = path
        self.busy_seconds = busy_seconds
        self._synchronous = synchronous
        self.clock = clock
        self._salt: bytes | None = None
        self._closed = False
        self.renew()
        _all.add(self)

    def renew(self) -> None:
        """Begin with no connections and no locks held, as in a child process."""
        self._lock = threading.Lock()  # entered by itself: a condition takes longer, and is left by an interrupt
        self._changed = threading.Condition(self._lock)
        self._idle: list[sqlite3.Connection] = []
        self._lent: dict[int, weakref.ref[_Loan]] = {}  # by thread
        self._pauses: set[int] = set()  # by thread

    def borrow(self) -> _Loan:
        """Lend a connection for a ``with`` block, which must be short and must not yield while it has it.

        Returns:
            What to give to ``with``, which then gives a connection outside a transaction. A transaction that is left
            open is undone. It raises `StorageError` when the store is closed, the file cannot be opened, or the block
            failed in SQLite.
        """
        return _Loan(self)

    def take(self, loan: _Loan) -> sqlite3.Connection:
        """Give a loan its connection, which must be taken back, also where this fails."""
        with self._lock:
            while self._pauses and not self._closed:
                self._changed.wait(_LOOK_SECONDS)
            if self._closed:
                raise StorageError(f"The store of conversations in {str(self.path)!r} is closed; open it again")
            self._lent[threading.get_ident()] = weakref.ref(loan)
            if self._idle:
                loan.connection = self._idle[-1]  # pop() could be interrupted as it returns
                del self._idle[-1]
                return loan.connection
        loan.connection = self._open()
        return loan.connection

    def take_back(self, loan: _Loan) -> None:
        """Take the connection of a loan back, if it has one; may be repeated after an interrupt."""
        if loan.connection is not None and loan.connection.in_transaction:
            loan.connection.rollback()
        with self._lock:
            connection, loan.connection = loan.connection, None
            if connection is not None:
                if self._closed or self._pauses or len(self._idle) >= _KEPT:
                    self._close(connection)
                else:
                    self._idle.append(connection)
            self._lent.pop(threading.get_ident(), None)
            if self._pauses:
                self._changed.notify_all()

    def pause(self) -> None:
        """Wait until other threads have borrowed nothing, close all connections, and lend none until ``resume``."""
        own = threading.get_ident()
        with self._lock:
            self._pauses.add(own)
            while any(thread != own and loan() is not None for thread, loan in self._lent.items()):
                self._changed.wait(_LOOK_SECONDS)
            while self._idle:
                self._close(self._idle.pop())

    def resume(self) -> None:
        """Lend connections again, where it was this thread that asked for the pause."""
        with self._lock:
            self._pauses.discard(threading.get_ident())
            self._changed.notify_all()

    def close(self) -> None:
        """Lend nothing any more, wait until other threads have borrowed nothing, and close all connections."""
        self._closed = True
        try:
            self.pause()
        finally:
            self.resume()

    def _open(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The folder of {str(self.path)!r} cannot be made: {error.strerror}") from error
        connection = connection_opened(self.path, check_header, self._connect)
        try:
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
            connection.execute("PRAGMA temp_store = MEMORY")  # nothing of a turn goes into files beside these
            migrate(connection, self.path)
            self._use_log(connection)
            self._check_salt(connection)
        except BaseException:
            self._close(connection)
            raise
        return connection

    def _check_salt(self, connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT value FROM meta WHERE name = 'salt'").fetchone()
        if row is None:
            raise missing_row()
        salt = row[0]
        if self._salt not in (None, salt):
            raise StorageError(
                f"{str(self.path)!r} was deleted or replaced while the store was open; open the store again"
            )
        self._salt = salt

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path, timeout=self.busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
        )

    def _close(self, connection: sqlite3.Connection) -> None:
        connection.close()
        connection_closed(self.path)

    def _use_log(self, connection: sqlite3.Connection) -> None:
        # Where several processes make a file at once, SQLite refuses this without waiting as the others asked it to.
        deadline = self.clock() + self.busy_seconds
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or self.clock() > deadline:
                    raise
                time.sleep(_RETRY_SECONDS)


class _Loan:
    """A connection that is lent for a ``with`` block; a class, for a generator would take a tenth of an append."""

    __slots__ = ("__weakref__", "_connections", "connection")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.connection: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection:
        try:
            return self._connections.take(self)
        except BaseException as error:
            self._connections.take_back(self)
            if isinstance(error, sqlite3.Error | UnicodeDecodeError):
                raise storage_error(self._connections.path, error) from cause_to_show(error)
            raise

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self._connections.take_back(self)
        except BaseException:  # Ctrl-C; what was done before is not done again
            self._connections.take_back(self)
            raise
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise storage_error(self._connections.path, error) from cause_to_show(error)


_all: weakref.WeakSet[Connections] = weakref.WeakSet()


def _before_fork() -> None:
    for connections in list(_all):
        connections.pause()


def _after_fork_in_parent() -> None:
    for connections in list(_all):
        connections.resume()


def _after_fork_in_child() -> None:
    for connections in list(_all):
        connections.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
