"""The one thread that speaks with the server.

A session with an MCP server belongs to the task that opened it, so one thread with an event loop of its own opens it,
sends what waits, answers questions, and closes it. Nobody else ever waits for the server.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import ValidationError

from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.storage.conport.connection import CallTool, RefusedError, Server, ServerFailure, with_session
from ragtime.storage.conport.journal import Entry
from ragtime.storage.conport.spool import Spool
from ragtime.storage.conport.tools import Tools
from ragtime.utils.extras import require

if TYPE_CHECKING:
    import anyio

__all__ = ["Worker"]

T = TypeVar("T")
Question: TypeAlias = "Callable[[Tools], Awaitable[T]]"

_log = get_logger(__name__)

_TRIES = 3  # sessions in a row in which nothing was sent, before the server is left alone
_STOP_SECONDS = 15.0  # the most that ending a server takes: it is asked, then told, then killed


class Worker:
    """Sends what is in a spool, until it is stopped or the server has failed too often.

    Attributes:
        sent: Entries that the server has got.
        failure: Why the server is left alone; ``None`` while it is not.
    """

    def __init__(
        self,
        server: Server,
        spool: Spool,
        *,
        workspace_id: str,
        start_seconds: float,
        timeout_seconds: float,
        retry_seconds: float,
    ) -> None:
        """Start the thread.

        Args:
            server: The server.
            spool: What is to be sent.
            workspace_id: Workspace of the items.
            start_seconds: Limit for the start of the server.
            timeout_seconds: Limit for one answer.
            retry_seconds: Pause after the first failure; it doubles with the next.
        """
        self.sent = 0
        self.failure: str | None = None
        self._server = server
        self._spool = spool
        self._workspace_id = workspace_id
        self._start_seconds = start_seconds
        self._timeout_seconds = timeout_seconds
        self._retry_seconds = retry_seconds
        self._questions: deque[tuple[Question[Any], Future[Any]]] = deque()
        self._attempted: set[str] = set()  # what the server may have got
        self._refused: set[str] = set()  # what it will be asked again in another run
        self._changed = threading.Condition()
        self._idle = False
        self._stopping = False
        self._ended = False
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._scope: anyio.CancelScope | None = None
        self._task = self._loop.create_task(self._work_until_halted())
        # In the logging context of whoever logs first, like a WorkerPool's; the threads of that one are waited for at
        # the exit of the program, and a server that hangs would hold it up.
        run = copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name="ragtime-conport", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Tell that there is something to send."""
        with self._changed:
            self._idle = False
        self._in_loop(self._wake.set)

    def ask(self, question: Question[T]) -> Future[T]:
        """Ask the server something once all that waits is sent.

        Args:
            question: Calls tools.

        Returns:
            What will hold the answer, or a ``StorageError``.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._ended:
                future.set_exception(self._unreachable())
                return future
            self._questions.append((question, future))
            self._idle = False
        self._in_loop(self._wake.set)
        return future

    def wait(self, seconds: float) -> None:
        """Wait until there is nothing to do, or nothing more will be done, but so many seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle or self._ended, seconds)

    def stop(self, seconds: float) -> None:
        """End the thread: let it finish for so many seconds, then stop it; returns once the server has ended, too."""
        self._stopping = True
        self._in_loop(self._wake.set)
        with self._changed:
            done = self._changed.wait_for(lambda: self._idle or self._ended, seconds)
        if not done:
            self._in_loop(self._halt)
        self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            _log.warning("The ConPort server does not end; its thread is left behind", server=self._server.name)

    def _in_loop(self, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the thread has ended
            self._loop.call_soon_threadsafe(call)

    # --- in the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except StorageError as error:
            self.failure = str(error)
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            self._fail_questions()
            self._loop.close()

    def _halt(self) -> None:
        if self._scope is not None:  # it is there before anything else runs in the loop
            self._scope.cancel()

    async def _work_until_halted(self) -> None:
        with require("anyio", "conport").CancelScope() as self._scope:
            await self._work()

    async def _work(self) -> None:
        if left := self._spool.adopt():
            _log.info("Entries of an earlier run go to the ConPort server first", extra={"count": left})
        failures = 0
        while await self._something_to_do():
            before = self.sent
            try:
                await with_session(
                    self._server,
                    self._serve,
                    output=self._spool.folder.parent / "server.log",
                    start_seconds=self._start_seconds,
                    timeout_seconds=self._timeout_seconds,
                )
            except ServerFailure as failure:
                failures = 1 if self.sent > before else failures + 1
                _log.debug("The ConPort server failed", server=self._server.name, failures=failures)
                if failures == _TRIES or failure.lasting:
                    self.failure = str(failure)
                    _log.info("The ConPort server is left alone until the next run", reason=self.failure)
                    return
                await asyncio.sleep(self._retry_seconds * 2 ** (failures - 1))

    async def _something_to_do(self) -> bool:
        """Wait until there is something to send or to ask; tell whether there is, or only the end has come."""
        while True:
            self._wake.clear()
            if self._questions or self._next() is not None:
                return True
            with self._changed:
                # Looked at again under the lock, where nobody can come in between.
                self._idle = not self._questions and self._next() is None
                self._changed.notify_all()
            if self._stopping:
                return False
            await self._wake.wait()

    def _next(self) -> Entry | None:
        return self._spool.first(self._refused)

    async def _serve(self, call: CallTool) -> None:
        tools = Tools(call, self._workspace_id, self._spool.server_id)
        before = self.sent
        failure: ServerFailure | None = None
        with log_operation(_log, "send_decisions", server=self._server.name) as operation:
            try:
                while await self._something_to_do():
                    entry = self._next()
                    if entry is not None:
                        await self._send(tools, entry)
                    else:
                        await self._answer(tools, *self._questions.popleft())
            except ServerFailure as error:  # no failure of ours: nothing is lost, and the log says once what waits
                failure = error
            finally:
                told = {} if failure is None else {"failure": str(failure)}
                operation.add(sent=self.sent - before, refused=len(self._refused), **told)
        if failure is not None:
            raise failure

    async def _send(self, tools: Tools, entry: Entry) -> None:
        in_doubt = entry.ref in self._attempted or self._spool.is_adopted(entry)
        self._attempted.add(entry.ref)
        try:
            server_id = await tools.send(entry, in_doubt=in_doubt)
        except RefusedError as refusal:
            self._refused.add(entry.ref)
            self._spool.note_refused(entry, str(refusal))
            _log.debug("The ConPort server refused an entry", tool=entry.tool)
            return
        self._spool.note_sent(entry, server_id)
        self._attempted.discard(entry.ref)
        self.sent += 1

    async def _answer(self, tools: Tools, question: Question[Any], future: Future[Any]) -> None:
        try:
            future.set_result(await question(tools))
        except (RefusedError, KeyError, ValidationError):
            future.set_exception(StorageError("The ConPort server refused to read, or gave an answer of another shape"))
        except BaseException as failure:
            what = str(failure) if isinstance(failure, ServerFailure) else "the log was closed"
            future.set_exception(StorageError(f"The ConPort server could not be read: {what}"))
            raise

    def _unreachable(self) -> StorageError:
        return StorageError(f"The ConPort server could not be read: {self.failure or 'the log was closed'}")

    def _fail_questions(self) -> None:
        for _, future in self._questions:
            future.set_exception(self._unreachable())
        self._questions.clear()
