"""Merging ratings: the mean, age, rank, verdicts, and what must not matter."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.records.training import Rater
from ragtime.services.training_data_gen.sources import FeedbackRecord
from ragtime.services.training_data_gen.sources.ratings import HALF_LIFE, MergedRating, merge_ratings
from tests.services.training_data_gen.sources.reading import small_settings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _rated(
    number: int, stars: float, *documents: str, age: timedelta | None = timedelta(), **fields: str
) -> FeedbackRecord:
    time = None if age is None else NOW - age
    row = {"query": "How long?", **fields}
    return FeedbackRecord(id=f"f{number}", stars=stars, document_ids=documents, created_at=time, **row)


def _merged(*records: FeedbackRecord) -> list[MergedRating]:
    return list(merge_ratings(records, Settings()))


def test_ratings_of_one_query_and_document_become_one() -> None:
    (merged,) = _merged(_rated(1, 5, "d"), _rated(2, 3, "d", query="how  LONG?"), _rated(3, 5, "d"))
    assert (merged.document_id, merged.votes, merged.verdict) == ("d", 3, "good")
    assert merged.stars == pytest.approx(13 / 3)
    assert merged.weight == pytest.approx(3)
    assert merged.feedback_ids == ("f1", "f2", "f3")


def test_a_rating_counts_half_after_each_half_life() -> None:
    (merged,) = _merged(_rated(1, 5, "d"), _rated(2, 2, "d", age=HALF_LIFE))
    assert merged.stars == pytest.approx((5 + 2 * 0.5) / 1.5)
    (old,) = _merged(_rated(1, 5, "d", age=2 * HALF_LIFE), _rated(2, 2, "d", age=3 * HALF_LIFE))
    assert old == merged  # ages count from the newest


def test_a_rating_without_a_time_is_as_old_as_the_oldest() -> None:
    (merged,) = _merged(_rated(1, 5, "d"), _rated(2, 1, "d", age=None), _rated(3, 5, "d", age=HALF_LIFE))
    assert merged.stars == pytest.approx((5 + 0.5 * 1 + 0.5 * 5) / 2)
    (alone,) = _merged(_rated(1, 5, "d", age=None), _rated(2, 1, "d", age=None))
    assert alone.stars == pytest.approx(3)


def test_the_first_document_of_an_answer_counts_most() -> None:
    merged = {one.document_id: one for one in _merged(_rated(1, 5, "a", "b", "c"))}
    assert merged["a"].weight == pytest.approx(1)
    assert merged["a"].weight > merged["b"].weight > merged["c"].weight > 0
    conflict = {one.document_id: one for one in _merged(_rated(1, 5, "a", "b"), _rated(2, 1, "b", "a"))}
    assert conflict["a"].stars > 3 > conflict["b"].stars


def test_verdicts_follow_the_thresholds_of_the_settings() -> None:
    records = [_rated(number, number, f"d{number}") for number in range(1, 6)]
    assert [one.verdict for one in merge_ratings(records, Settings())] == ["bad", "bad", "undecided", "good", "good"]
    strict = small_settings(positive_rating=5, negative_rating=1)
    assert [one.verdict for one in merge_ratings(records, strict)] == ["bad", *["undecided"] * 3, "good"]


def test_ratings_without_documents_are_of_their_answers() -> None:
    merged = _merged(
        _rated(1, 5, response="For 30 days."), _rated(2, 1, response="Never."), _rated(3, 3, response="for 30  DAYS.")
    )
    assert [(one.document_id, one.response, one.stars) for one in merged] == [
        (None, "for 30  DAYS.", 4.0),
        (None, "Never.", 1.0),
    ]


def test_a_record_that_stands_twice_counts_once() -> None:
    (merged,) = _merged(_rated(1, 5, "d"), _rated(1, 5, "d"), _rated(2, 2, "d"))
    assert (merged.votes, merged.stars) == (2, 3.5)


def test_a_later_time_changes_weights_and_no_mean() -> None:
    records = [_rated(1, 5, "d"), _rated(2, 2, "d", age=HALF_LIFE)]
    (plain,) = merge_ratings(records, Settings())
    (later,) = merge_ratings(records, Settings(), NOW + HALF_LIFE)
    assert later.stars == pytest.approx(plain.stars)
    assert later.weight == pytest.approx(plain.weight / 2)
    (far,) = merge_ratings(records, Settings(), datetime(9999, 1, 1, tzinfo=UTC))
    assert 2 <= far.stars <= 5


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="time zone"):
        list(merge_ratings([], Settings(), datetime(2026, 1, 1)))  # noqa: DTZ001 - what is refused


RECORDS = st.lists(
    st.builds(
        lambda number, stars, documents, days, query: _rated(
            number, stars, *documents, age=None if days is None else timedelta(days=days), query=query
        ),
        st.integers(0, 30),
        st.floats(1, 5),
        st.lists(st.sampled_from("abc"), unique=True, max_size=3),
        st.none() | st.floats(0, 9000),
        st.sampled_from(["q", "Q ", "r"]),
    ),
    max_size=12,
)


@settings(max_examples=100)
@given(RECORDS, st.randoms(use_true_random=False))
def test_the_order_changes_no_bit_and_no_conflict_is_left(records: list[FeedbackRecord], rng: random.Random) -> None:
    merged = _merged(*records)
    shuffled = records[:]
    rng.shuffle(shuffled)
    assert _merged(*shuffled) == merged
    keys = [(" ".join(one.query.casefold().split()), one.document_id, one.response) for one in merged]
    assert len(set(keys)) == len(keys)
    assert all(1 <= one.stars <= 5 and one.weight >= 0 for one in merged)
    assert {key for one in merged for key in one.feedback_ids} == {record.id for record in records}


def test_who_has_rated_is_told_once_in_any_order() -> None:
    cleo = _rated(1, 5, "d", user_id="cleo", conversation_id="c9")
    records = [cleo, _rated(2, 3, "d", user_id="ann"), _rated(3, 4, "d", user_id="ann"), _rated(4, 4, "d"), cleo]
    (merged,) = _merged(*records)
    assert merged.raters == (Rater(), Rater(user_id="ann"), Rater(user_id="cleo", conversation_id="c9"))
    assert merged.votes == 4  # a log that repeats itself counts once
    assert _merged(*records[::-1]) == [merged]
