"""Async twins of methods that wait for files or models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

__all__ = ["async_twin"]

S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")


def async_twin(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Return the twin of a method that does the same in a thread, while the event loop goes on.

    The thread sees what the task sees: overridden settings and the context of log events. A task that is cancelled does
    not wait any longer, but the thread ends what it has begun.

    Args:
        method: A method of a class; its twin calls that of a subclass where there is one.

    Returns:
        The twin, whose name has an ``a`` before it.
    """
    name = method.__name__

    @wraps(method)
    async def twin(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        call: Callable[P, T] = getattr(self, name)
        return await asyncio.to_thread(call, *args, **kwargs)

    twin.__name__, twin.__qualname__ = f"a{name}", method.__qualname__.removesuffix(name) + f"a{name}"
    twin.__doc__ = f"Do ``{name}`` without blocking the event loop; see there."
    return twin
