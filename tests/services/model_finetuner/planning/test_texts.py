"""Each text once, forward passes of like lengths, and no negative that is known to be an answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.planning import (
    FalseNegatives,
    PlanOptions,
    TrainingRows,
    distinct_texts,
    number_texts,
    plan_passes,
)
from tests.benchmarks.planning_measures import padding, skewed_lengths

# --- rows -----------------------------------------------------------------------------------------------------------

CELLS = st.sampled_from(["a", "b", "c", "d"])


@st.composite
def tables(draw: st.DrawFn) -> list[list[str | None]]:
    """Columns of a data set: queries, responses and up to two of negatives, some of them missing."""
    count = draw(st.integers(1, 12))
    full = st.lists(CELLS, min_size=count, max_size=count)
    holed = st.lists(CELLS | st.none(), min_size=count, max_size=count)
    return [draw(full), draw(full), *draw(st.lists(holed, max_size=2))]


def rows_of(columns: list[list[str | None]]) -> TrainingRows:
    distinct, cells = number_texts(columns)
    return TrainingRows(cells, np.arange(1, len(distinct) + 1))


def test_texts_are_numbered_by_first_appearance() -> None:
    distinct, cells = number_texts([["q", "q"], ["a", "b"], ["b", None]])
    assert distinct == ["q", "a", "b"]
    assert cells.tolist() == [[0, 1, 2], [0, 2, -1]]


@pytest.mark.parametrize("columns", [[], [["a"], ["b", "c"]]])
def test_columns_must_fit_together(columns: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="at least one column"):
        number_texts(columns)


@pytest.mark.parametrize(
    ("cells", "lengths", "message"),
    [
        ([], [], r"shape \[rows, columns\]"),
        ([0, 1], [1, 1], r"shape \[rows, columns\]"),
        ([[0, 2]], [1, 1], "found 0 to 2"),
        ([[0, -2]], [1], "found -2 to 0"),
        ([[0, -1]], [1], "without"),
        ([[0, 0]], [0], "at least 1 token"),
        ([[0, 0]], [[1]], "one row of numbers"),
        ([[0.5, 0]], [1], "dtype float64"),
        ([[0, 0], [0]], [1], "several lengths"),
    ],
)
def test_wrong_rows_are_refused(cells: Any, lengths: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        TrainingRows(cells, lengths)


def test_rows_of_lengths_share_nothing() -> None:
    rows = TrainingRows.from_lengths([[3, 9, 0], [3, 9, 4]])
    assert rows.cells.tolist() == [[0, 1, -1], [2, 3, 4]]
    assert rows.lengths.tolist() == [3, 9, 3, 9, 4]
    assert rows.tokens.tolist() == [12, 16]


@pytest.mark.parametrize("lengths", [[3, 4], [[3, -1]], [[0, 3]]])
def test_wrong_lengths_are_refused(lengths: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        TrainingRows.from_lengths(lengths)


def test_rows_do_not_change_with_what_they_were_made_of() -> None:
    cells, lengths = np.array([[0, 1]]), np.array([5, 6])
    rows = TrainingRows(cells, lengths)
    print_before = rows.fingerprint
    cells[0, 1] = 0
    assert rows.fingerprint == print_before
    assert rows.fingerprint != TrainingRows(cells, lengths).fingerprint


# --- texts of a batch -----------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(table=tables(), seed=st.integers(0, 9))
def test_each_text_of_a_batch_stands_once_and_is_found_in_every_cell(table: Any, seed: int) -> None:
    rows = rows_of(table)
    batch = np.random.default_rng(seed).permutation(len(rows))[: 1 + seed % len(rows)]
    texts = distinct_texts(rows, batch)
    assert len(set(texts.numbers.tolist())) == len(texts.numbers)
    assert (texts.numbers >= 0).all()
    there = texts.positions >= 0
    assert (there == (rows.cells[batch] >= 0)).all()
    assert (texts.numbers[texts.positions[there]] == rows.cells[batch][there]).all()


def test_a_batch_without_rows_has_no_texts() -> None:
    texts = distinct_texts(rows_of([["a"], ["b"], [None]]), np.empty(0, np.int64))
    assert (texts.numbers.tolist(), texts.positions.shape) == ([], (0, 3))


@settings(max_examples=150)
@given(table=tables(), seed=st.integers(0, 9))
def test_the_mask_is_that_of_the_definition(table: Any, seed: int) -> None:
    rows = rows_of(table)
    batch = np.random.default_rng(seed).permutation(len(rows))[: seed % (len(rows) + 1)]
    known = set(zip(table[0], table[1], strict=True))
    candidates = [column[row] for column in table[1:] for row in batch.tolist()]
    expected = [
        [
            place != own and (text is None or text == table[0][row] or (table[0][row], text) in known)
            for place, text in enumerate(candidates)
        ]
        for own, row in enumerate(batch.tolist())
    ]
    mask = FalseNegatives(rows).mask(batch)
    assert mask.shape == (len(batch), len(batch) * (len(table) - 1))
    assert mask.tolist() == expected


def test_a_pair_of_another_batch_is_known_too() -> None:
    rows = rows_of([["q", "q", "r"], ["a", "b", "b"]])
    assert FalseNegatives(rows).mask(np.array([0, 2])).tolist() == [[False, True], [False, False]]


def test_queries_alone_have_no_candidates() -> None:
    with pytest.raises(InvalidArgumentError, match="found one column"):
        FalseNegatives(TrainingRows([[0], [1]], [1, 1]))  # type: ignore[arg-type]  # lists are taken, too


# --- passes ---------------------------------------------------------------------------------------------------------

LENGTHS = st.lists(st.integers(1, 40), max_size=30).map(lambda some: np.array(some, np.int64))


@settings(max_examples=150)
@given(lengths=LENGTHS, max_tokens=st.none() | st.integers(1, 200), pass_cost=st.integers(0, 300))
def test_every_text_is_in_one_pass_within_the_limit(lengths: Any, max_tokens: int | None, pass_cost: int) -> None:
    passes = plan_passes(lengths, max_tokens=max_tokens, pass_cost=pass_cost)
    assert sorted(place for one in passes.texts for place in one.tolist()) == list(range(len(lengths)))
    sizes = [len(one) * int(lengths[one].max()) for one in passes.texts]
    assert max_tokens is None or all(
        size <= max_tokens or len(one) == 1 for size, one in zip(sizes, passes.texts, strict=True)
    )
    assert (passes.real_tokens, passes.padded_tokens) == (int(lengths.sum()), sum(sizes))
    assert 0 <= passes.padding < 1
    outputs = [place for one in passes.texts for place in one.tolist()]
    assert [outputs[place] for place in passes.places.tolist()] == list(range(len(lengths)))
    tops = [int(lengths[one[0]]) for one in passes.texts]
    assert tops == sorted(tops, reverse=True)
    assert all((np.diff(lengths[one]) <= 0).all() for one in passes.texts)


@settings(max_examples=60)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8), pass_cost=st.integers(0, 60))
def test_no_other_cut_costs_less(lengths: list[int], pass_cost: int) -> None:
    descending = sorted(lengths, reverse=True)

    def cheapest(first: int) -> int:
        ends = range(first + 1, len(descending) + 1)
        return min(((end - first) * descending[first] + pass_cost + cheapest(end) for end in ends), default=0)

    passes = plan_passes(np.array(lengths), pass_cost=pass_cost)
    assert passes.padded_tokens + pass_cost * len(passes) == cheapest(0)


def test_passes_that_cost_nothing_are_never_padded() -> None:
    passes = plan_passes(np.array([5, 9, 5, 9, 2]), pass_cost=0)
    assert [one.tolist() for one in passes.texts] == [[1, 3], [0, 2], [4]]
    assert passes.padding == 0


def test_a_limit_cuts_into_about_equal_parts() -> None:
    passes = plan_passes(np.full(10, 8), max_tokens=32, pass_cost=1000)
    assert [len(one) for one in passes.texts] == [4, 3, 3]


@pytest.mark.parametrize("size", [32, 64, 512])
def test_random_batches_of_skewed_lengths_are_padded_by_less_than_a_tenth(size: int) -> None:
    found = padding(skewed_lengths(4_096), PlanOptions(batch_size=size), pass_cost=64)
    assert found.by_length <= 0.10
    assert found.by_column > 0.45
    assert abs(found.likeness) < 0.05


def test_no_texts_need_no_pass() -> None:
    passes = plan_passes(np.empty(0, np.int64))
    assert (len(passes), passes.padding) == (0, 0.0)


@pytest.mark.parametrize(
    "arguments", [{"max_tokens": 0}, {"max_tokens": 1.5}, {"pass_cost": -1}, {"pass_cost": True}, {"lengths": [3, 0]}]
)
def test_wrong_limits_are_refused(arguments: Any) -> None:
    lengths = np.array(arguments.pop("lengths", [3]))
    with pytest.raises(InvalidArgumentError):
        plan_passes(lengths, **arguments)
