"""When to ask a server again: exponential back-off with jitter, and what the server itself says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from ragtime.utils.hashing import keyed_uniform

__all__ = ["RetryPolicy", "read_retry_after"]

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 8.0


@dataclass(frozen=True)
class RetryPolicy:
    """How often and when a request is made again.

    Attributes:
        max_retries: Further tries after the first.
        seed: Seed of the jitter.
    """

    max_retries: int
    seed: int

    def wait_seconds(self, retry: int, *, key: str, retry_after: float | None = None) -> float:
        """Return the pause before a retry, in seconds.

        Args:
            retry: Number of the retry, from 0.
            key: Names the request, so that requests that fail together do not come back together.
            retry_after: What the server asks for, in seconds; ``None`` when it says nothing.

        Returns:
            The server's pause, else 0.5 seconds doubled with each retry up to 8, less up to a half by the keyed jitter.
        """
        if retry_after is not None:
            return retry_after
        longest = min(_FIRST_SECONDS * 2.0 ** min(retry, 10), _LONGEST_SECONDS)
        return longest * (1 - keyed_uniform(self.seed, "retry", key, retry) / 2)


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read the pause that a server asks for (RFC 9110, section 10.2.3).

    A date counts from the server's own ``Date``, so that a clock that is wrong on either side does no harm.

    Args:
        headers: Headers of the response, whose names are in lower case or looked up without case.

    Returns:
        The pause in seconds, at least 0; ``None`` when there is none that can be understood.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))  # OpenAI's own, more exact
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    seconds = _seconds(told)
    if seconds is not None:
        return seconds
    then, now = _date(told), _date(headers.get("date"))
    return max(0.0, (then - now).total_seconds()) if then and now else None


def _seconds(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else None
