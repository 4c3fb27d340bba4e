"""Worker threads that see what their maker sees: overridden settings and logging context."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

__all__ = ["WorkerPool"]

P = ParamSpec("P")
T = TypeVar("T")


class WorkerPool(ThreadPoolExecutor):
    """A thread pool whose tasks run in the context of whoever submitted them.

    Python's own pool starts each thread with an empty context, so that an override of the settings, or the id of the
    conversation that log events should carry, would be lost. Everything ragtime does in threads runs in this pool.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call in a worker, in a copy of the current context; see ``concurrent.futures.Executor.submit``."""
        context = copy_context()
        return super().submit(lambda: context.run(fn, *args, **kwargs))
