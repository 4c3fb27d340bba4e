"""Reading times in the ways in which logs write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["EPOCH", "parse_time"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that nobody knows where there has to be one: the same on every reading."""

_MILLISECONDS_FROM = 1e11  # as seconds, this would be the year 5138


def parse_time(value: object) -> datetime | None:
    """Read a time.

    Args:
        value: Seconds or milliseconds since 1970, as a number or a text; ISO 8601 with or without a time zone, UTC
            where there is none; or a ``datetime``.

    Returns:
        The time in UTC; ``None`` for ``None`` and a blank text.

    Raises:
        ValueError: It is no time.
    """
    if isinstance(value, str):
        value = _number_or_time(value.strip())
    if value is None:
        return None
    try:
        if isinstance(value, datetime):
            aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
            return aware.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
            return EPOCH + timedelta(seconds=seconds)
    except (OverflowError, ValueError):  # before the year 1 or after 9999; NaN
        pass
    raise ValueError("no time")


def _number_or_time(text: str) -> float | datetime | None:
    try:
        return float(text) if text else None
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("no time") from None
