"""One way to run a generation, whoever asks: a coroutine that calls `emit` with each piece of the answer.

Asynchronous callers await it; blocking ones run it in a thread with an event loop of its own. So there is one
implementation of time limits and cancellation, and a blocking call works inside a running event loop, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ragtime.errors import BackendCancelledError, BackendTimeoutError
from ragtime.utils.workers import WorkerPool

if TYPE_CHECKING:
    from ragtime.protocols import CancelSignal

__all__ = ["Emit", "aiterate", "iterate", "supervise"]

T = TypeVar("T")
Emit: TypeAlias = Callable[[str], None]
Work: TypeAlias = Callable[[Emit], Coroutine[Any, Any, None]]

_TURNS_TO_SETTLE = 3  # of the event loop: the closing is scheduled, begun and done
_POLL_SECONDS = 0.02  # a signal has no way to call back, so it is looked at


async def supervise(
    work: Coroutine[Any, Any, T], *, who: str, limit_seconds: float, cancel: CancelSignal | None = None
) -> T:
    """Run `work` until it ends, its time is up or it is cancelled; it has ended when this returns.

    Args:
        work: What to run. It must end promptly when its task is cancelled.
        who: The model and where it runs, for error messages.
        limit_seconds: Limit for all of it, in seconds.
        cancel: Stops it when set; ``None`` means that nothing does.

    Returns:
        What `work` returns.

    Raises:
        BackendTimeoutError: The time is up.
        BackendCancelledError: `cancel` is set.
    """
    task = asyncio.ensure_future(work)
    poll = None if cancel is None else _POLL_SECONDS
    expiry = asyncio.timeout(limit_seconds)
    cancelled = False
    try:
        async with expiry:
            while not task.done() and not cancelled:
                cancelled = cancel is not None and cancel.is_set()
                if not cancelled:
                    await asyncio.wait({task}, timeout=poll)
    except TimeoutError:
        pass
    finally:
        await _end(task)
    if task.cancelled() and cancelled:
        raise BackendCancelledError(f"{who}: cancelled by the caller")
    if task.cancelled() and expiry.expired():
        raise BackendTimeoutError(
            f"{who}: no complete answer within {limit_seconds:g} seconds; "
            "raise timeout_seconds, ask for less, or use a faster model"
        )
    return task.result()


async def _end(task: asyncio.Future[Any]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task})


async def aiterate(work: Work) -> AsyncGenerator[str, None]:
    """Run `work` beside the consumer and yield its pieces; closing the iterator stops it.

    Args:
        work: Takes `emit` and calls it, in the event loop's thread.

    Yields:
        Each piece.

    Raises:
        BaseException: Whatever `work` raises.
    """
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(pieces.put_nowait))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        task.result()
    finally:
        await _end(task)
        if not task.cancelled():
            task.exception()  # looked at, or asyncio would report it as lost when the consumer has left


def iterate(work: Work) -> Generator[str, None, None]:
    """Run `work` in a thread of its own and yield its pieces; closing the iterator stops it and ends the thread.

    Args:
        work: Takes `emit` and calls it, in the thread that it runs in.

    Yields:
        Each piece.

    Raises:
        BaseException: Whatever `work` raises.
    """
    pieces: SimpleQueue[str | None] = SimpleQueue()
    # Not asyncio.run, whose end waits for the look-up of a host name, however long that takes.
    loop = asyncio.new_event_loop()
    running: list[asyncio.Future[None]] = []

    def run() -> None:
        running.append(loop.create_task(work(pieces.put)))
        try:
            loop.run_until_complete(running[0])
        finally:
            loop.run_until_complete(_settle(loop))

    try:
        with WorkerPool(1, thread_name_prefix="ragtime-generator") as pool:
            future = pool.submit(run)
            future.add_done_callback(lambda _: pieces.put(None))
            try:
                while (piece := pieces.get()) is not None:
                    yield piece
                future.result()
            finally:
                loop.call_soon_threadsafe(running[0].cancel)  # nothing, when it has ended
    finally:
        loop.close()


async def _settle(loop: asyncio.AbstractEventLoop) -> None:
    """Let what was left behind end before the loop does: closing an abandoned generator is a task of its own."""
    for _ in range(_TURNS_TO_SETTLE):
        await asyncio.sleep(0)
    await loop.shutdown_asyncgens()
