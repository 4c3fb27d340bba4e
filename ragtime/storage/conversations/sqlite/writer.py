"""Group commit: what many threads want to write at once becomes one transaction.

The first thread to come leads: it writes its own work and that of all who wait, commits once, and hands the lead to one
who came in the meantime. There is no thread of its own, so nothing has to be started, stopped or survive a fork.

An interrupt (Ctrl-C) may end a thread between any two steps, a leader in the middle of handing over, too. So who leads
is decided by one lock, which its ``with`` block always gives back, and to be woken is a courtesy: who sleeps looks
after himself from time to time, and leads where nobody else does.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from ragtime.storage.conversations.sqlite.connections import Connections
from ragtime.storage.conversations.sqlite.errors import rolled_back, storage_error

__all__ = ["Statement", "Work", "Writer"]

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
"""What is done within a transaction; it may be done again when that fails, so it changes nothing but the file."""
Statement = tuple[str, Sequence[Any]]
"""One statement and its parameters, which writes exactly one row or nothing."""

_AT_ONCE = 256  # works of one transaction
_LOOK_SECONDS = 0.5  # after which who sleeps looks whether somebody leads; it matters only after an interrupt


class _Job:
    """One thread's work, and what came of it."""

    __slots__ = ("awake", "done", "error", "result", "statement", "work")

    def __init__(self, work: Work[Any], statement: Statement | None) -> None:
        self.work = work
        self.statement = statement
        self.result: Any = None
        self.error: BaseException | None = None  # holds once the work is done, for what it was made of may be undone
        self.done = False
        self.awake = threading.Lock()  # its thread sleeps until somebody releases this

    def wake(self) -> None:
        """End the sleep of its thread: it is done, or is to lead. Only the leader calls this."""
        if self.awake.locked():
            self.awake.release()


class _Queue:
    """The works that wait, in one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lead = threading.Lock()  # whoever holds it leads
        self.led = False  # whether somebody leads or was called to
        self.waiting: deque[_Job] = deque()


class Writer:
    """Does works in transactions, many in one.

    Attributes:
        commits: Transactions that were committed.
    """

    def __init__(self, connections: Connections) -> None:
        """Write over connections that are borrowed for each transaction."""
        self._connections = connections
        self._queue = _Queue()
        self.commits = 0

    def run(self, work: Work[T], *, statement: Statement | None = None) -> T:
        """Do a work, all or nothing, and return once it is committed.

        Args:
            work: The work.
            statement: What does the same in most cases, and is tried first: when it writes its row, the work is done,
                and when it writes nothing, the work finds out why. ``None`` where there is none, and for a work that
                returns something. On its own it needs no transaction around it, and among others no savepoint.

        Returns:
            What the work returns.

        Raises:
            Exception: What the work raises; then nothing of it is kept.
        """
        queue = self._queue
        if queue.pid != os.getpid():  # a child process; those who waited are threads of the parent
            queue = self._queue = _Queue()
        job = _Job(work, statement)
        try:
            self._settle(queue, job)
        finally:  # after Ctrl-C, too: nobody is to begin it any more
            job.done = True
        if job.error is not None:
            raise job.error
        return cast("T", job.result)

    def _settle(self, queue: _Queue, job: _Job) -> None:
        """Return once a work is done, by this thread or another."""
        awake = job.awake
        awake.acquire()
        queue.waiting.append(job)  # before the look at `led`: a leader who stops looks here after changing that
        called = not queue.led
        while not job.done:
            if not called:
                called = awake.acquire(timeout=_LOOK_SECONDS) or not queue.lead.locked()
                continue
            with queue.lead:
                queue.led = True
                while not job.done:
                    self._lead(queue, job)

    def _lead(self, queue: _Queue, own: _Job) -> None:
        jobs: list[_Job] = []
        while queue.waiting and len(jobs) < _AT_ONCE:
            job = queue.waiting.popleft()
            if not job.done:  # its thread was interrupted
                jobs.append(job)
        jobs = jobs or [own]  # which an interrupt of another leader may have lost
        try:
            self._write(jobs)
        finally:
            for job in reversed(jobs):  # after Ctrl-C in this thread the others still wait
                if job.done:
                    job.wake()
                elif job is not own:
                    job.error = None
                    queue.waiting.appendleft(job)
            queue.led = False
            if queue.waiting:
                queue.led = True  # so that those who come now do not overtake the one who is called
                queue.waiting[0].wake()

    def _write(self, jobs: list[_Job]) -> None:
        """Do some works in one transaction; where that fails as a whole, each in its own."""
        try:
            with self._connections.borrow() as connection:
                if len(jobs) == 1 and _is_written(connection, jobs[0]):  # which SQLite commits by itself
                    self.commits += 1
                    jobs[0].done = True
                    return
                connection.execute("BEGIN IMMEDIATE")
                if len(jobs) == 1:
                    jobs[0].result = jobs[0].work(connection)
                else:
                    for job in jobs:
                        self._try(connection, job)
                _commit(connection, jobs)
                self.commits += 1
        except Exception as error:  # noqa: BLE001 - goes to the thread whose work it is
            for job in jobs:
                if job.done:  # what failed came after
                    continue
                if len(jobs) > 1:
                    job.error = None
                    self._write([job])
                else:
                    job.error = error
                    job.done = True

    def _try(self, connection: sqlite3.Connection, job: _Job) -> None:
        if _is_written(connection, job):
            return
        connection.execute("SAVEPOINT work")
        try:
            job.result = job.work(connection)
        except Exception as error:
            if rolled_back(connection):
                raise
            connection.execute("ROLLBACK TO work")
            job.error = storage_error(self._connections.path, error) if isinstance(error, sqlite3.Error) else error
        connection.execute("RELEASE work")


def _is_written(connection: sqlite3.Connection, job: _Job) -> bool:
    return job.statement is not None and connection.execute(*job.statement).rowcount == 1


def _commit(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
    """Commit, and note what is done, so that nobody does it again: also where Ctrl-C comes as soon as it is."""
    try:
        connection.execute("COMMIT")
        _note(jobs)
    except sqlite3.Error:
        raise
    except BaseException:
        if not connection.in_transaction:
            _note(jobs)
        raise


def _note(jobs: list[_Job]) -> None:
    for job in jobs:
        job.done = True
