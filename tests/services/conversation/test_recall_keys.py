"""What stands in a turn's key, and which keys a new turn changes."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from ragtime.records.conversation import Interaction
from ragtime.services.conversation.recall_keys import (
    NEIGHBOUR_WEIGHTS,
    key_stems,
    key_text,
    mix_vectors,
    neighbours_of,
)

DAY = datetime(2025, 4, 12, 9, 30, tzinfo=UTC)


def parents(count: int) -> st.SearchStrategy[list[int]]:
    return st.tuples(*(st.integers(-1, place - 1) for place in range(count))).map(list)


trees = st.integers(0, 10).flatmap(parents)


def test_a_key_tells_who_and_what_and_when() -> None:
    said = Interaction(role="user", content="I like the trains.", created_at=DAY)
    assert key_text(said) == "user: I like the trains."
    assert key_stems(said) == ["like", "train", "12", "april", "2025"]
    named = Interaction(role="user", content="Me, too.", name="Ada", created_at=DAY)
    assert key_text(named) == "Ada: Me, too."
    assert key_stems(named) == ["ada", "12", "april", "2025"]
    silent = Interaction(role="tool", content="", tool_call_id="1", name="find", created_at=DAY)
    assert key_text(silent) == "find: tool"


def test_neighbours_of_a_line() -> None:
    table = neighbours_of(np.array([-1, 0, 1, 2], np.int32), 2)
    assert table.tolist() == [[-1, 0, 1, 2], [1, 2, 3, -1], [-1, -1, 0, 1], [2, 3, -1, -1]]
    assert neighbours_of(np.array([], np.int32), 2).shape == (4, 0)
    assert neighbours_of(np.array([-1], np.int32), 0).shape == (0, 1)


@given(trees)
def test_neighbours_follow_the_first_branch(previous: list[int]) -> None:
    table = neighbours_of(np.array(previous, np.int32), 3)
    first = [
        next((place for place, one in enumerate(previous) if one == before), -1) for before in range(len(previous))
    ]
    for place in range(len(previous)):
        before = after = place
        for distance in range(3):
            before = previous[before] if before >= 0 else -1
            after = first[after] if after >= 0 else -1
            assert table[2 * distance, place] == before
            assert table[2 * distance + 1, place] == after


def unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(trees, st.data())
def test_vectors_are_weighted_sums(previous: list[int], data: st.DataObject) -> None:
    count = len(previous)
    raw = data.draw(st_numpy.arrays(np.float32, (count, 3), elements=st.sampled_from([1.0, 2.0, 3.0])))
    vectors = unit(raw)
    table = neighbours_of(np.array(previous, np.int32), len(NEIGHBOUR_WEIGHTS))
    mixed = mix_vectors(vectors, table)
    assert mixed.dtype == np.float32
    for place in range(count):
        total = vectors[place].astype(np.float64)
        for row, other in enumerate(table[:, place]):
            if other >= 0:
                total = total + NEIGHBOUR_WEIGHTS[row // 2] * vectors[other]
        np.testing.assert_allclose(mixed[place], total / np.linalg.norm(total), rtol=1e-6)


def test_a_new_turn_changes_only_the_keys_just_before_it() -> None:
    reach = len(NEIGHBOUR_WEIGHTS)
    vectors = unit(np.random.default_rng(0).normal(size=(5_000, 4)).astype(np.float32))
    line = np.arange(-1, len(vectors) - 1, dtype=np.int32)
    before = mix_vectors(vectors[:-1], neighbours_of(line[:-1], reach))
    after = mix_vectors(vectors, neighbours_of(line, reach))
    changed = np.flatnonzero((before != after[:-1]).any(axis=1))
    assert changed.tolist() == list(range(len(before) - reach, len(before)))
    # A few turns around those that changed are enough to compute them anew.
    tail = vectors[-3 * reach :]
    again = mix_vectors(tail, neighbours_of(np.arange(-1, len(tail) - 1, dtype=np.int32), reach))
    np.testing.assert_array_equal(again[reach:], after[-2 * reach :])


def test_vectors_that_cancel_out_leave_the_turn_itself() -> None:
    vectors = np.array([[1, 0], [-1, 0]], np.float32)
    mixed = mix_vectors(vectors, neighbours_of(np.array([-1, 0], np.int32), 1), weights=[1.0])
    np.testing.assert_array_equal(mixed, vectors)
    np.testing.assert_array_equal(mix_vectors(vectors, np.empty((0, 2), np.int32), weights=()), vectors)
