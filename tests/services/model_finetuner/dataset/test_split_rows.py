"""Holding rows out: nothing is shared, shares are met where they can be, and tiny sets have no validation."""

from __future__ import annotations

import logging
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.dataset import LEAST_QUESTIONS, Row, fits, read_rows, split_rows
from ragtime.services.training_data_gen import Lineage, TrainingExample

WORDS = ("apple", "brick", "cloud", "drum", "eagle", "flute", "grape", "house", "ink", "jar")


def text(number: int) -> str:
    """Return a text of eight words that shares few with those of other numbers."""
    return " ".join(f"{WORDS[number // 10**place % 10]}{number}{place}" for place in range(8))


def pairs(count: int) -> list[Row]:
    return read_rows([(f"what is {text(number)}?", f"it is {text(number + count)}") for number in range(count)]).rows


def test_a_share_is_held_out_in_the_order_given() -> None:
    rows = pairs(300)
    train, validation, note = split_rows(rows, 0.1, seed=42)
    assert (len(train), len(validation), note) == (270, 30, None)
    assert [row.id for row in validation] == sorted(row.id for row in validation)
    assert Counter(train + validation) == Counter(rows)
    assert split_rows(rows, 0.1, seed=42) == (train, validation, note)
    assert {row.id for row in split_rows(rows[::-1], 0.1, seed=42).validation} == {row.id for row in validation}
    assert split_rows(rows, 0.1, seed=43).validation != validation


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 20)), min_size=1, max_size=40),
    st.floats(0, 0.9),
    st.integers(0, 9),
)
@settings(max_examples=60)
def test_nothing_is_shared(cells: list[tuple[int, int, int]], share: float, seed: int) -> None:
    rows = [
        Row(f"{number:03}", text(query), text(100 + response), groups=(f"document:{group}",))
        for number, (query, response, group) in enumerate(cells)
    ]
    train, validation, note = split_rows(rows, share, seed, least_questions=1)
    assert sorted([*train, *validation], key=lambda row: row.id) == rows
    assert train
    for what in ("query", "response", "groups"):
        assert {getattr(row, what) for row in train}.isdisjoint(getattr(row, what) for row in validation)
    assert validation or share == 0 or note is not None


def test_near_duplicates_stay_together_in_either_place() -> None:
    rows = pairs(60)
    long = [row for row in rows if row.id < "8"]
    twins = [
        Row(f"twin{row.id}", row.response.upper() + " indeed", f"an answer of its own: {text(900 + place)}")
        for place, row in enumerate(long)
    ]
    train, validation, _ = split_rows([*rows, *twins], 0.4, seed=1)
    assert validation
    sides = {row.id: side for side, some in enumerate((train, validation)) for row in some}
    assert all(sides[twin.id] == sides[twin.id.removeprefix("twin")] for twin in twins)


def test_examples_of_one_conversation_stay_together() -> None:
    lineages = [Lineage(user_id="ann", conversation_id=str(number // 4)) for number in range(80)]
    examples = [
        TrainingExample(query=text(number), response=text(200 + number), lineage=lineage)
        for number, lineage in enumerate(lineages)
    ]
    train, validation, note = split_rows(read_rows(examples).rows, 0.3, seed=7)
    conversations = [{group for row in some for group in row.groups} for some in (train, validation)]
    assert note is None
    assert conversations[0].isdisjoint(conversations[1])


def test_both_parts_have_their_share_of_bad_responses() -> None:
    rated = read_rows([(text(number), text(1000 + number), number % 5 > 1) for number in range(400)])
    for part in split_rows(rated.rows, 0.2, seed=3)[:2]:
        assert sum(map(fits, part)) / len(part) == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("count", [1, 2, 16, 60])
def test_tiny_sets_have_no_validation_and_say_so(count: int, caplog: pytest.LogCaptureFixture) -> None:
    rows = pairs(count)
    with caplog.at_level(logging.WARNING):
        train, validation, note = split_rows(rows, 0.1, seed=42)
    assert (train, validation) == (rows, [])
    assert note is not None
    assert f"at least {LEAST_QUESTIONS} are needed" in note
    assert note in caplog.text


def test_rows_that_all_hang_together_have_no_validation() -> None:
    rows = read_rows([("the only question", text(number)) for number in range(200)]).rows
    train, validation, note = split_rows(rows, 0.1, seed=42)
    assert (len(train), validation) == (200, [])
    assert note is not None
    assert "in 1 independent groups" in note


def test_a_share_that_is_missed_is_noted() -> None:
    hub = [("the hub", text(number)) for number in range(200)]
    rest = [(text(1000 + number), text(2000 + number)) for number in range(100)]
    train, validation, note = split_rows(read_rows([*hub, *rest]).rows, 0.5, seed=42)
    assert {row.query for row in train} == {"the hub"}
    assert len(validation) == 100
    assert note is not None
    assert "asked for 0.500, got 0.333" in note


def test_no_share_means_no_validation_and_no_note() -> None:
    rows = pairs(40)
    assert split_rows(rows, 0.0, seed=42) == (rows, [], None)
    assert split_rows([], 0.0, seed=42) == ([], [], None)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_wrong_shares_are_refused(share: float) -> None:
    with pytest.raises(InvalidArgumentError, match="from 0 to under 1"):
        split_rows(pairs(4), share, seed=42)
