"""Which time a question names; all are asked on Wednesday, 16 April 2025."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.conversation.time_words import Interval, find_interval

NOW = datetime(2025, 4, 16, 15, 0, tzinfo=UTC)


def days(since: str, until: str) -> Interval:
    return Interval(*(datetime.combine(date.fromisoformat(one), datetime.min.time(), UTC) for one in (since, until)))


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("What did I say today?", "2025-04-16", "2025-04-17"),
        ("What was it you said this morning?", "2025-04-16", "2025-04-17"),
        ("What did we decide YESTERDAY?", "2025-04-15", "2025-04-16"),
        ("The film from last night", "2025-04-15", "2025-04-16"),
        ("the day before yesterday", "2025-04-14", "2025-04-15"),
        ("Two days ago I asked for a hotel", "2025-04-14", "2025-04-15"),
        ("a couple of days ago", "2025-04-14", "2025-04-15"),
        ("Which bus was it a week ago?", "2025-04-07", "2025-04-14"),
        ("about 3 weeks ago", "2025-03-24", "2025-03-31"),
        ("a month ago", "2025-03-01", "2025-04-01"),
        ("five months ago", "2024-11-01", "2024-12-01"),
        ("two years ago", "2023-01-01", "2024-01-01"),
        ("my plans last week", "2025-04-07", "2025-04-14"),
        ("last week's plan", "2025-04-07", "2025-04-14"),
        ("this week", "2025-04-14", "2025-04-21"),
        ("last month", "2025-03-01", "2025-04-01"),
        ("last year", "2024-01-01", "2025-01-01"),
        ("this year", "2025-01-01", "2026-01-01"),
        ("over the last week", "2025-04-09", "2025-04-17"),
        ("in the past 10 days", "2025-04-06", "2025-04-17"),
        ("the last two months", "2025-02-16", "2025-04-17"),
        ("past year", "2024-04-16", "2025-04-17"),
        ("last weekend", "2025-04-12", "2025-04-14"),
        ("last Monday", "2025-04-14", "2025-04-15"),
        ("last Wednesday", "2025-04-09", "2025-04-10"),
        ("What did you recommend? I asked on Friday", "2025-04-11", "2025-04-12"),
        ("Monday last week", "2025-04-07", "2025-04-08"),
        ("on 12 April", "2025-04-12", "2025-04-13"),
        ("on the 12th of April", "2025-04-12", "2025-04-13"),
        ("April 12th", "2025-04-12", "2025-04-13"),
        ("on Apr. 3, 2024", "2024-04-03", "2024-04-04"),
        ("on 20 April", "2024-04-20", "2024-04-21"),
        ("29 February", "2024-02-29", "2024-03-01"),
        ("on 2025-04-02", "2025-04-02", "2025-04-03"),
        ("on 2025-04-02T10:00:00Z", "2025-04-02", "2025-04-03"),
        ("2024/12/31", "2024-12-31", "2025-01-01"),
        ("on 25/12/2024", "2024-12-25", "2024-12-26"),
        ("on 12/25/2024", "2024-12-25", "2024-12-26"),
        ("on 04/04/2025", "2025-04-04", "2025-04-05"),
        ("What did we plan in March?", "2025-03-01", "2025-04-01"),
        ("in may", "2024-05-01", "2024-06-01"),
        ("last April", "2024-04-01", "2024-05-01"),
        ("this April", "2025-04-01", "2025-05-01"),
        ("in March last year", "2024-03-01", "2024-04-01"),
        ("March of this year", "2025-03-01", "2025-04-01"),
        ("March 2024", "2024-03-01", "2024-04-01"),
        ("during 2023", "2023-01-01", "2024-01-01"),
        ("since Yesterday", "2025-04-15", "2025-04-17"),
        ("since March", "2025-03-01", "2025-04-17"),
        ("after the 3rd of April", "2025-04-04", "2025-04-17"),
        ("between 1 April and 3 April", "2025-04-01", "2025-04-04"),
        ("between January and March", "2025-01-01", "2025-04-01"),
        ("from 2025-04-01 to 2025-04-03", "2025-04-01", "2025-04-04"),
        ("the last week of March", "2025-03-01", "2025-04-01"),
    ],
)
def test_times(text: str, since: str, until: str) -> None:
    assert find_interval(text, NOW) == days(since, until)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is the name of the hotel?",
        "tomorrow",
        "next week",
        "next March",
        "in two days",
        "a few days ago",
        "twenty-two days ago",
        "two and a half years ago",
        "on 03/04/2025",
        "on 31 June",
        "2025-13-01",
        "on 20 April 2025",
        "in 2031",
        "before last week",
        "by yesterday",
        "not yesterday",
        "yesterday and last week",
        "yesterday or today or last week",
        "between March and January",
        "12-14 April",
        "on Monday next week",
        "my flight on Monday",
        "next Monday",
        "May I march with you, and may we talk?",
        "the first day of my stay",
        "the last day",
        "It may be 12 may have said so",
        "a table at 7 pm on the 12th",
        "the last time",
        "room 2025",
        "March 10:30",
        "call 555-2025-04",
        "9999 years ago",
        "since tomorrow",
    ],
)
def test_no_time_that_is_sure(text: str) -> None:
    assert find_interval(text, NOW) is None


def test_days_begin_where_one_asks() -> None:
    tokyo = timezone(timedelta(hours=9))
    early = datetime(2025, 4, 16, 1, 0, tzinfo=tokyo)  # still the 15th in UTC
    assert find_interval("today", early) == Interval(
        datetime(2025, 4, 15, 15, tzinfo=UTC), datetime(2025, 4, 16, 15, tzinfo=UTC)
    )


def test_a_day_may_have_23_hours() -> None:
    found = find_interval("yesterday", datetime(2025, 3, 31, 12, tzinfo=ZoneInfo("Europe/Berlin")))
    assert found is not None
    assert found.until - found.since == timedelta(hours=23)


def test_a_page_is_no_question() -> None:
    assert find_interval("yesterday " + "x" * 1_990, NOW) is not None
    assert find_interval("yesterday " + "x" * 1_991, NOW) is None


def test_time_ends_somewhere() -> None:
    assert find_interval("today", datetime(9999, 12, 31, tzinfo=UTC)) is None
    assert find_interval("yesterday", datetime(1, 1, 1, tzinfo=UTC)) is None


def test_a_moment_is_in_an_interval_or_not() -> None:
    found = find_interval("yesterday", NOW)
    assert found is not None
    assert found.since in found
    assert found.until not in found
    assert "yesterday" not in found


def test_now_has_a_time_zone() -> None:
    with pytest.raises(InvalidArgumentError, match="time zone"):
        find_interval("today", datetime(2025, 4, 16))  # noqa: DTZ001 - that is what is wrong


words = st.sampled_from(
    "last the this in on of a two 31 2024 99 may march february 29 days weeks years ago since between and to monday "
    "yesterday today from until 2025-04-31 1/2/2024 30th - did".split()
)


@given(st.lists(words, max_size=8).map(" ".join), st.datetimes(timezones=st.just(UTC)))
def test_whatever_is_asked_an_interval_has_begun(text: str, now: datetime) -> None:
    found = find_interval(text, now)
    if found is not None:
        assert found.since < found.until
        assert found.since <= now


@given(st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    find_interval(text, NOW)
