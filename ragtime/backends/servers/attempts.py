"""Asking again what may pass, within one time limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ragtime.backends.servers.failures import Failure
from ragtime.backends.servers.retries import RetryPolicy
from ragtime.errors import BackendError, BackendTimeoutError
from ragtime.monitoring.logging import get_logger

__all__ = ["attempt"]

T = TypeVar("T")

_log = get_logger(__name__)


async def attempt(
    ask: Callable[[int], Awaitable[T]],
    *,
    policy: RetryPolicy,
    key: str,
    who: str,
    limit_seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]],
    may_repeat: Callable[[], bool] = lambda: True,
) -> T:
    """Ask until there is an answer, nothing is left to try, or a pause would outlast the limit.

    Args:
        ask: Asks once, given the number of tries before; raises :class:`Failure`.
        policy: How often and when to ask again.
        key: Names the request, for the jitter.
        who: The model and where it runs, for error messages.
        limit_seconds: Limit for all tries, in seconds; the tries themselves are limited by whoever runs this.
        clock: Returns seconds; only differences count.
        sleep: Waits some seconds.
        may_repeat: Whether asking again is still allowed.

    Returns:
        The answer.

    Raises:
        BackendTimeoutError: The last failure was a time limit.
        BackendError: Any other failure.
    """
    end = clock() + limit_seconds
    for retry in range(policy.max_retries + 1):
        try:
            return await ask(retry)
        except Failure as failure:
            last = failure
        if not may_repeat() or not last.may_pass or retry == policy.max_retries:
            break
        wait = policy.wait_seconds(retry, key=key, retry_after=last.retry_after)
        if clock() + wait >= end:
            break
        extra = {"model": who, "reason": last.found, "retry": retry + 1, "wait_seconds": round(wait, 3)}
        _log.warning("Request tried again", extra=extra)
        await sleep(wait)
    tries = f" after {retry + 1} tries" if retry else ""
    kind = BackendTimeoutError if last.timed_out else BackendError
    raise kind(f"{who}{tries}: {last.found}; {last.remedy}")
