"""Rankings are joined exactly, and ties fall to the earlier turn."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.conversation.fusion import RRF_K, TIME_BOOST, combine_scores, reciprocal_rank_fusion

rankings = st.lists(st.lists(st.integers(0, 12), unique=True, max_size=8), max_size=4)


@given(rankings)
def test_ranks_are_those_of_exact_sums(given_rankings: list[list[int]]) -> None:
    exact: dict[int, Fraction] = {}
    for ranking in given_rankings:
        for rank, position in enumerate(ranking, start=1):
            exact[position] = exact.get(position, Fraction(0)) + Fraction(1, RRF_K + rank)
    found = reciprocal_rank_fusion(given_rankings)
    assert {one.position for one in found} == set(exact)
    for one in found:
        assert one.score == pytest.approx(float(exact[one.position]), rel=1e-12)
    assert found == sorted(found, key=lambda one: (-one.score, one.position))


@given(rankings, st.randoms(use_true_random=False))
def test_the_order_of_the_rankings_is_no_matter(given_rankings: list[list[int]], random) -> None:
    shuffled = random.sample(given_rankings, len(given_rankings))
    assert reciprocal_rank_fusion(shuffled) == reciprocal_rank_fusion(given_rankings)


@given(rankings)
def test_a_ranking_without_weight_adds_only_candidates(given_rankings: list[list[int]]) -> None:
    first, *others = given_rankings or [[]]
    found = reciprocal_rank_fusion([first, *others], weights=[1, *[0] * len(others)])
    assert [one.position for one in found][: len(first)] == first
    assert {one.position for one in found} == {position for ranking in [first, *others] for position in ranking}


def test_ranks_of_the_paper() -> None:
    found = reciprocal_rank_fusion([[3, 1, 2], [1, 4]], weights=[1, 2])
    assert [(one.position, one.score) for one in found] == [
        (1, 1 / 62 + 2 / 61),
        (4, 2 / 62),
        (3, 1 / 61),
        (2, 1 / 63),
    ]
    assert [one.position for one in reciprocal_rank_fusion([[9, 4], [4, 9]])] == [4, 9]
    assert reciprocal_rank_fusion([]) == []


@pytest.mark.parametrize(
    ("weights", "k"),
    [([1.0], 60), ([1.0, -1.0], 60), ([1.0, float("nan")], 60), ([1.0, 1.0], -1), (None, float("inf"))],
)
def test_wrong_weights(weights: list[float] | None, k: float) -> None:
    with pytest.raises(InvalidArgumentError):
        reciprocal_rank_fusion([[1], [2]], weights=weights, k=k)


def test_a_ranking_holds_a_position_once() -> None:
    with pytest.raises(InvalidArgumentError, match="twice"):
        reciprocal_rank_fusion([[1, 2, 1]])


def test_scores_add_up() -> None:
    found = combine_scores(np.array([7, 3, 5]), np.array([0.5, 0.25, 0.75]), np.array([0.5, 0.75, 0.125]))
    assert found == [(3, 1.0), (7, 1.0), (5, 0.875)]


def test_the_time_asked_for_helps_but_excludes_nothing() -> None:
    positions, cosines, shares = np.array([1, 2, 3]), np.array([0.5, 0.5, 0.9]), np.zeros(3)
    found = combine_scores(positions, cosines, shares, in_time=np.array([False, True, False]))
    assert [one.position for one in found] == [3, 2, 1]
    assert found[1].score == 0.5 + TIME_BOOST


scores = st.lists(
    st.tuples(st.integers(0, 50), st.sampled_from([0.0, 0.25, 0.5]), st.sampled_from([0.0, 0.5])),
    unique_by=lambda one: one[0],
    max_size=10,
)


@given(scores)
def test_the_order_of_the_candidates_is_no_matter(candidates: list[tuple[int, float, float]]) -> None:
    def fused(some: list[tuple[int, float, float]]) -> list[tuple[int, float]]:
        columns = [np.array([one[column] for one in some]) for column in range(3)]
        return [tuple(one) for one in combine_scores(columns[0].astype(np.int64), columns[1], columns[2])]

    found = fused(candidates)
    assert found == fused(candidates[::-1])
    assert found == sorted(found, key=lambda one: (-one[1], one[0]))
