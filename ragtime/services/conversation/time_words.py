"""The time that a question names, read by rule: "yesterday", "in March", "two weeks ago", "on 12 April", "2025-04-12".

Only the past counts, for only then was anything said. Where the words could mean several times, as "03/04/2025" or two
dates without "between" or "to", there is no answer rather than a guess: recall then goes by the other words alone.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import NamedTuple

from ragtime.errors import InvalidArgumentError

__all__ = ["MONTH_NAMES", "Interval", "find_interval"]

# Not those of the calendar module, which speaks the language that the process is set to.
MONTH_NAMES = tuple("January February March April May June July August September October November December".split())
"""English names of the months."""

_LONGEST = 2_000


class Interval(NamedTuple):
    """A time, in UTC.

    Attributes:
        since: Its first moment.
        until: The first moment after it.
    """

    since: datetime
    until: datetime

    def __contains__(self, moment: object) -> bool:
        return isinstance(moment, datetime) and self.since <= moment < self.until


class _Days(NamedTuple):
    first: date
    last: date  # the first day after them


class _Named(NamedTuple):
    """A time in the words, with its place there; `days` is ``None`` when it is not sure which it is."""

    start: int
    end: int
    days: _Days | None


def find_interval(text: str, now: datetime) -> Interval | None:
    """Find the one time that an English question names.

    Args:
        text: The question.
        now: When it is asked, with a time zone; days begin at midnight there. Weeks begin on Monday.

    Returns:
        The time, whole days; ``None`` when the question names none, none that is sure, or only the future, and when it
        is longer than 2,000 characters: a page is no question.

    Raises:
        InvalidArgumentError: `now` has no time zone.
    """
    if now.tzinfo is None:
        raise InvalidArgumentError("now must have a time zone, such as datetime.now(UTC) has")
    words = " ".join(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())
    if len(words) > _LONGEST:
        return None
    try:
        # With a third one it is unsure, whatever else there is.
        days = _joined(words, list(islice(_named(words, now.date()), 3)), now.date())
        if days is None or days.first > now.date():
            return None
        since, until = (datetime.combine(day, time(), now.tzinfo).astimezone(UTC) for day in days)
    except OverflowError:  # before the first or after the last year that there is
        return None
    return Interval(since, until)


def _joined(words: str, named: list[_Named], today: date) -> _Days | None:
    """Make one time of all that are named."""
    if not named:
        return None
    before, between, after = words[: named[0].start], words[named[0].end : named[-1].start], words[named[-1].end :]
    first, last = named[0].days, named[-1].days
    if first is None or last is None or _UNSURE_BEFORE.search(before) or _UNSURE_AFTER.match(after):
        return None
    if len(named) == 1:
        if (begins := _BEGINNING.search(before)) is None:
            return first
        return _Days(first.first if begins["word"] == "since" else first.last, today + timedelta(days=1))
    spans = _TO.fullmatch(between) or (_AND.fullmatch(between) and _BETWEEN.search(before))
    return _Days(first.first, last.last) if len(named) == 2 and spans and first.first < last.last else None  # noqa: PLR2004


def _named(words: str, today: date) -> Iterator[_Named]:
    """Yield the times in the words from left to right, each by the rule that reads most of it."""
    past = _PAST.search(words) is not None
    place = 0
    while found := [(match, rule) for pattern, rule in _RULES if (match := pattern.search(words, place))]:
        match, rule = min(found, key=lambda one: (one[0].start(), -one[0].end()))
        place = match.end()
        groups = {name: value for name, value in match.groupdict().items() if value is not None}
        if "on" in groups and not past:  # "my flight on Monday" is no time at which something was said
            continue
        try:
            days = rule(groups, today)
        except ValueError:  # there is no such day
            days = None
        yield _Named(match.start(), place, days)


# --- what the words mean --------------------------------------------------------------------------------------------

_MONTHS = {name.lower(): number for number, name in enumerate(MONTH_NAMES, start=1)}
_MONTHS |= {name[:3]: number for name, number in _MONTHS.items()} | {"sept": 9}
_WEEKDAYS = dict(zip("monday tuesday wednesday thursday friday saturday sunday".split(), range(7), strict=True))
_NUMBERS = dict(
    zip("one two three four five six seven eight nine ten eleven twelve".split(), range(1, 13), strict=True)
)
_NUMBERS |= {"a": 1, "an": 1, "a couple of": 2}
_TRIED_YEARS = 9  # 29 February comes again after eight years at the latest

_Groups = dict[str, str]


def _day(day: date) -> _Days:
    return _Days(day, day + timedelta(days=1))


def _month(year: int, month: int) -> _Days:
    """Return a month, which may be counted from a year that is not its own."""
    first = date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
    return _Days(first, first + timedelta(days=calendar.monthrange(first.year, first.month)[1]))


def _days_ago(ago: int) -> Callable[[_Groups, date], _Days]:
    return lambda _, today: _day(today - timedelta(days=ago))


def _calendar(found: _Groups, today: date) -> _Days:
    """Return the day, the week, the month or the year that lies some of them back."""
    ago = _count(found["count"]) if "count" in found else int(found["which"] == "last")
    if found["unit"] == "day":
        return _day(today - timedelta(days=ago))
    if found["unit"] == "week":
        monday = today - timedelta(days=today.weekday() + 7 * ago)
        return _Days(monday, monday + timedelta(days=7))
    if found["unit"] == "month":
        return _month(today.year, today.month - ago)
    return _Days(date(today.year - ago, 1, 1), date(today.year - ago + 1, 1, 1))


def _rolling(found: _Groups, today: date) -> _Days:
    """Return the days from some weeks, months or years back until today."""
    count = _count(found.get("count", "one"))
    if found["unit"] in {"day", "week"}:
        begin = today - timedelta(days=count * {"day": 1, "week": 7}[found["unit"]])
    else:
        month = _month(today.year, today.month - count * {"month": 1, "year": 12}[found["unit"]])
        begin = min(month.first + timedelta(days=today.day - 1), month.last - timedelta(days=1))
    return _Days(begin, today + timedelta(days=1))


def _count(words: str) -> int:
    return _NUMBERS[words] if words in _NUMBERS else int(words)


def _weekend(_: _Groups, today: date) -> _Days:
    monday = today - timedelta(days=today.weekday())
    return _Days(monday - timedelta(days=2), monday)


def _weekday(found: _Groups, today: date) -> _Days:
    """Return the latest such day before today, or the one of last week."""
    number = _WEEKDAYS[found["weekday"]]
    if "week" in found:
        return _day(today - timedelta(days=today.weekday() + 7 - number))
    return _day(today - timedelta(days=(today.weekday() - number - 1) % 7 + 1))


def _date(found: _Groups, today: date) -> _Days | None:
    """Return a day; one without a year is the latest that is not in the future."""
    month = _MONTHS[found["month"]] if found["month"] in _MONTHS else int(found["month"])
    if "year" in found:
        return _day(date(int(found["year"]), month, int(found["day"])))
    for year in range(today.year, today.year - _TRIED_YEARS, -1):
        if int(found["day"]) <= calendar.monthrange(year, month)[1] and date(year, month, int(found["day"])) <= today:
            return _day(date(year, month, int(found["day"])))
    return None


def _slashed(found: _Groups, today: date) -> _Days | None:
    """Return a day as 25/12/2025 or 12/25/2025; when both could be the month, it is not sure."""
    one, two = int(found["one"]), int(found["two"])
    if max(one, two) <= 12 and one != two:  # noqa: PLR2004 - months
        return None
    return _date({"year": found["year"], "month": str(min(one, two)), "day": str(max(one, two))}, today)


def _named_month(found: _Groups, today: date) -> _Days:
    """Return a month; one without a year is the latest that has begun, "last" one that is over."""
    month = _MONTHS[found["month"]]
    if "year" in found:
        return _month(int(found["year"]), month)
    if "which" in found:
        return _month(today.year - (found["which"] == "last"), month)
    begun = month < today.month or (month == today.month and "last" not in found)
    return _month(today.year if begun or "this" in found else today.year - 1, month)


def _year(found: _Groups, _: date) -> _Days:
    return _Days(date(int(found["year"]), 1, 1), date(int(found["year"]) + 1, 1, 1))


# --- how they are written -------------------------------------------------------------------------------------------

_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\b(?![:.]\d)"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b(?![-/:.]\d)"
_WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})\b"
_COUNT = rf"(?P<count>\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_UNITS = r"(?P<unit>day|week|month|year)s?\b"
_UNIT = r"(?P<unit>week|month|year)\b"
_NOT_OF = r"(?! of\b)"  # "the last week of March" is not last week
_IN = "|".join(rf"(?<=\b{word} )" for word in "in during since after from between and to of until before by".split())

_RULES: list[tuple[re.Pattern[str], Callable[[_Groups, date], _Days | None]]] = [
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"\b(?P<year>(?:19|20)\d\d)([-/])(?P<month>\d\d)\2(?P<day>\d\d)(?!\d)", _date),
        (rf"\b(?P<one>\d{{1,2}})/(?P<two>\d{{1,2}})/{_YEAR}", _slashed),
        (rf"\b{_DAY}(?: of)? {_MONTH}(?! (?:be|have|not)\b)(?:,? {_YEAR})?", _date),
        (rf"\b{_MONTH} (?:the )?{_DAY}(?:,? {_YEAR})?", _date),
        (rf"\b{_MONTH},? (?:of )?{_YEAR}", _named_month),
        (rf"\b{_MONTH} (?:of )?(?P<which>last|this) year\b", _named_month),
        (rf"(?:{_IN}|\b(?P<last>last) |\b(?P<this>this) ){_MONTH}", _named_month),
        (rf"(?:{_IN}){_YEAR}", _year),
        (r"\b(?:today|tonight|this (?:morning|afternoon|evening))\b", _days_ago(0)),
        (r"\b(?:yesterday|last night)\b", _days_ago(1)),
        (r"\b(?:the )?day before yesterday\b", _days_ago(2)),
        (rf"\b(?<!ty[ -])(?<!and ){_COUNT} {_UNITS} ago\b", _calendar),
        (rf"\b(?P<which>last|this) {_UNIT}{_NOT_OF}", _calendar),
        (rf"\b(?:the (?:last|past)|past) {_UNIT}{_NOT_OF}", _rolling),
        (rf"\b(?:the )?(?:last|past) {_COUNT} {_UNITS}{_NOT_OF}", _rolling),
        (r"\blast weekend\b(?! of\b)", _weekend),
        (rf"\b(?:last|(?P<on>on)) {_WEEKDAY}{_NOT_OF}", _weekday),
        (rf"\b{_WEEKDAY} (?:of )?(?P<week>last week)\b", _weekday),
    )
]
_PAST = re.compile(
    r"\b(?:did|said|told|asked|talked|discussed|mentioned|spoke|wrote|recommended|suggested|agreed|decided)\b"
)
_BEGINNING = re.compile(r"\b(?P<word>since|after)(?: the)? $")
_BETWEEN = re.compile(r"\b(?:between|from)(?: the)? $")
_TO = re.compile(r" ?(?:to|until|till|through|-|–)(?: the)? ?")
_AND = re.compile(r" and(?: the)? ")
_UNSURE_BEFORE = re.compile(r"(?:\b(?:before|until|till|by|next|coming|not|except|and|or|to)(?: the| on| in)? |[-–/])$")
_UNSURE_AFTER = re.compile(r" (?:next|from now)\b|[-–/]\d")
