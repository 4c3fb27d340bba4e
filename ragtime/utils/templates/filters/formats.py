"""Dates, durations and numbers as people write them, alike in every locale."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from ragtime.utils.templates.filters.checks import as_text, as_whole_number, wrong_type

__all__ = [
    "format_date",
    "format_datetime",
    "format_duration",
    "format_filesize",
    "format_isodatetime",
    "format_number",
    "format_percent",
]

_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January February March April May June July August September October November December".split()
_NOON = 12
_LONGEST_SECONDS = 1e300
_THIN_SPACE = "\u202f"  # no-break
_DATE_FORMAT = re.compile(r"(?:[^%]|%[AaBbdfGHIjMmpSUuVwYyZz%])*")
_FORMAT_CHARACTERS = 100
_MOST_DIGITS = 20
_NOT_A_NUMBER = "n/a"
_POSITIONAL = (1e-6, 1e21)  # magnitudes that are written without an exponent


def format_date(value: object, format: str = "%Y-%m-%d") -> str:  # noqa: A002 - its name in templates
    """Format a date; one with a time zone as the day it is in UTC.

    Args:
        value: A date, a datetime, ISO 8601 text, or seconds since 1970 in UTC.
        format: Directives of one letter as in ``strftime``, without widths and without those of a locale; at most 100
            characters.

    Returns:
        The date.

    Raises:
        TypeError: `value` is none of these.
        ValueError: `value` is no date, or `format` holds something else.
    """
    return _formatted(_moment(value), format)


def format_datetime(value: object, format: str = "%Y-%m-%d %H:%M") -> str:  # noqa: A002 - its name in templates
    """Format a date and time; one with a time zone in UTC, and marked so.

    Args:
        value: As in ``format_date``; a date without a time means midnight.
        format: As in ``format_date``.

    Returns:
        The date and time, with ``" UTC"`` behind it when `value` has a time zone and `format` does not show it.

    Raises:
        TypeError: `value` is neither date, text nor number.
        ValueError: `value` is no date, or `format` holds something else.
    """
    moment = _moment(value)
    shown = _formatted(moment, format)
    return shown if moment.tzinfo is None or "%Z" in format or "%z" in format else f"{shown} UTC"


def format_isodatetime(value: object) -> str:
    """Write a date and time for machines, as the ``datetime`` attribute of ``<time>`` wants it.

    Args:
        value: As in ``format_date``.

    Returns:
        ISO 8601 with seconds, such as ``2026-11-22T15:31:45Z``; without the ``Z`` when `value` has no time zone.

    Raises:
        TypeError: `value` is neither date, text nor number.
        ValueError: `value` is no date.
    """
    moment = _moment(value)
    shown = moment.replace(tzinfo=None).isoformat(timespec="seconds")
    return shown if moment.tzinfo is None else f"{shown}Z"


def _moment(value: object) -> datetime:
    """Return the moment, in UTC when it has a time zone."""
    moment: datetime | None = None
    try:
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, date):
            moment = datetime.combine(value, time())
        elif isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
        elif isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value, UTC)
        if moment is not None:
            return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("Not a date: expected ISO 8601 text, or seconds within the years 1 to 9999") from None
    raise wrong_type(value, "a date, text or seconds")


def _formatted(moment: datetime, format: str) -> str:  # noqa: A002 - named as where it comes from
    """Format without the C library's locale, and with years of four digits."""
    own = {
        "%": "%",
        "A": _DAYS[moment.weekday()],
        "a": _DAYS[moment.weekday()][:3],
        "B": _MONTHS[moment.month - 1],
        "b": _MONTHS[moment.month - 1][:3],
        "G": f"{moment.isocalendar().year:04}",
        "p": "AM" if moment.hour < _NOON else "PM",
        "Y": f"{moment.year:04}",
    }
    found = re.finditer(r"%(.)|[^%]+", _checked_format(format))
    return "".join(own.get(part[1]) or moment.strftime(part[0]) if part[1] else part[0] for part in found)


def _checked_format(format: str) -> str:  # noqa: A002 - named as where it comes from
    # The C library takes widths such as %1000000000d, and what its locale says of %c and %x.
    if len(as_text(format)) > _FORMAT_CHARACTERS or not format.isprintable() or not _DATE_FORMAT.fullmatch(format):
        raise ValueError("Not a date format: expected up to 100 characters with directives such as %Y, %m, %d, %H, %M")
    return format


def format_duration(value: object) -> str:
    """Show a length of time in its two largest units.

    Args:
        value: Seconds, or a timedelta; not negative.

    Returns:
        Such as ``45 ms``, ``3.2 s``, ``2 min 05 s``, ``1 h 02 min`` or ``2 d 3 h``.

    Raises:
        TypeError: `value` is neither.
        ValueError: `value` is negative or not finite.
    """
    seconds = _finite(value.total_seconds() if isinstance(value, timedelta) else value)
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise ValueError("Not a duration: it is negative, or longer than can be told")
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:  # noqa: PLR2004 - from here on, the units of time
        return "<1 ms" if seconds and not milliseconds else f"{milliseconds} ms"
    if round(seconds, 1) < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    # Each step rounds to its own smaller unit first, so that 3599.6 s is one hour and not 60 minutes.
    if round(seconds) < 60 * 60:
        return "{} min {:02} s".format(*divmod(round(seconds), 60))
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return "{} h {:02} min".format(*divmod(minutes, 60))
    return "{} d {} h".format(*divmod(round(seconds / 3600), 24))


def format_number(value: object, digits: int | None = None) -> str:
    """Show a number with its thousands apart, alike in every locale.

    Args:
        value: A number.
        digits: Digits after the point, 0 to 20; ``None`` means as many as it takes to tell the number from others.

    Returns:
        Such as ``12 345.6`` with a thin no-break space; ``n/a`` for NaN, and ``∞`` for what is infinite.

    Raises:
        TypeError: `value` is no number.
        ValueError: `digits` is out of range, or `value` has thousands of digits.
    """
    number = _number(value)
    _check_digits(digits)
    if isinstance(number, float) and not math.isfinite(number):
        return _NOT_A_NUMBER if math.isnan(number) else "∞" if number > 0 else "-∞"
    if digits is not None:
        shown = _fixed(number, digits)
    elif isinstance(number, int):
        shown = f"{number:,}"
    elif number and not _POSITIONAL[0] <= abs(number) < _POSITIONAL[1]:
        return repr(number)
    else:
        shown = f"{Decimal(repr(number)):,f}".removesuffix(".0")
    return ("0" if shown == "-0" else shown).replace(",", _THIN_SPACE)


def format_percent(value: object, digits: int = 1) -> str:
    """Show a share of one as a percentage.

    Args:
        value: The share; 0.5 is half.
        digits: Digits after the point, 0 to 20.

    Returns:
        Such as ``12.5%``; ``n/a`` for NaN.

    Raises:
        TypeError: `value` is no number.
        ValueError: `digits` is out of range, or `value` is infinite.
    """
    shown = format_number(value, digits)
    return shown if shown == _NOT_A_NUMBER else f"{format_number(_finite(_finite(value) * 100), digits)}%"


def format_filesize(value: object) -> str:
    """Show a number of bytes in binary units.

    Args:
        value: Bytes, not negative.

    Returns:
        Such as ``512 B``, ``1.5 KiB`` or ``3.2 MiB``.

    Raises:
        TypeError: `value` is no number.
        ValueError: `value` is negative or not finite.
    """
    size = _finite(value)
    if size < 0:
        raise ValueError("Not a size: it is negative")
    if round(size) < 1024:  # noqa: PLR2004 - the base of the units
        return f"{round(size)} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if round(size, 1) < 1024:  # noqa: PLR2004
            return f"{size:.1f} {unit}"
    return f"{format_number(size / 1024, 1)} TiB"


def _number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise wrong_type(value, "a number")
    if isinstance(value, Decimal):
        number = float(value)
        if math.isinf(number) and value.is_finite():
            raise ValueError("A number that is too large")
        return number
    return value


def _finite(value: object) -> float:
    try:
        number = float(_number(value))
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("Not a finite number")
    return number


def _fixed(value: float, digits: int) -> str:
    if isinstance(value, int):  # a float has no more than 17 digits
        return f"{value:,}" + ("." + "0" * digits if digits else "")
    shown = f"{_finite(value):,.{digits}f}"
    return shown.removeprefix("-") if not shown.strip("-0.") else shown  # no -0.0


def _check_digits(digits: object) -> None:
    if digits is not None and not 0 <= as_whole_number(digits) <= _MOST_DIGITS:
        raise ValueError(f"Digits after the point go from 0 to {_MOST_DIGITS}")
