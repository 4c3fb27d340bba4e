"""Group commit: what many threads want to write at once becomes one transaction.

The first thread to come leads: it writes its own work and that of all who wait, commits once, and hands the lead to one
who came in the meantime. There is no thread of its own, so nothing has to be started, stopped or survive a fork.
"""

from __future__ import annotations

import os
import sqlite3
import threading
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


class _Job:
    """One thread's work, and what came of it."""

    __slots__ = ("awake", "done", "error", "leads", "result", "statement", "work")

    def __init__(self, work: Work[Any], statement: Statement | None) -> None:
        self.work = work
        self.statement = statement
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.leads = False
        self.awake: threading.Lock | None = None  # a follower's; it sleeps until somebody releases it

    @property
    def settled(self) -> bool:
        return self.done or self.error is not None


class _Queue:
    """The works that wait, in one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.waiting: list[_Job] = []
        self.led = False


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
        with queue.lock:
            queue.waiting.append(job)
            if queue.led:
                job.awake = threading.Lock()
                job.awake.acquire()
            else:
                queue.led = job.leads = True
        if job.awake is not None:
            self._sleep(queue, job, job.awake)
        if job.leads:
            self._lead(queue)
        if job.error is not None:
            raise job.error
        return cast("T", job.result)

    def _sleep(self, queue: _Queue, job: _Job, awake: threading.Lock) -> None:
        try:
            awake.acquire()
        except BaseException:  # Ctrl-C: the others must go on
            with queue.lock:
                if job in queue.waiting:
                    queue.waiting.remove(job)
                if job.leads:
                    _hand_over(queue)
            raise

    def _lead(self, queue: _Queue) -> None:
        with queue.lock:
            jobs, queue.waiting = queue.waiting[:_AT_ONCE], queue.waiting[_AT_ONCE:]
        try:
            self._write(jobs)
        finally:
            undone = [job for job in jobs[1:] if not job.settled]
            with queue.lock:  # after Ctrl-C in this thread, whose own work comes first, the others still wait
                queue.waiting[:0] = undone
                _hand_over(queue)
            for job in jobs:
                if job.awake is not None and job.settled:
                    job.awake.release()

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
                connection.execute("COMMIT")
                self.commits += 1
                for job in jobs:
                    job.done = True
        except Exception as error:  # noqa: BLE001 - goes to the thread whose work it is
            if len(jobs) == 1:
                jobs[0].error = error
                return
            for job in jobs:
                job.error = None
                self._write([job])

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


def _hand_over(queue: _Queue) -> None:
    """Let the next who waits lead; the lock of the queue is held."""
    if not queue.waiting:
        queue.led = False
        return
    follower = queue.waiting[0]
    follower.leads = True
    if follower.awake is not None:
        follower.awake.release()
