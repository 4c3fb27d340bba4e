"""Comparisons of two models on the same questions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.comparison import (
    Comparison,
    ComparisonSummary,
    bootstrap_interval,
    compare,
    sign_flip_test,
)
from tests.services.model_finetuner.comparison.scores import result

pytest.importorskip("scipy")

SCORES = st.lists(st.tuples(*[st.integers(0, 8).map(lambda eighths: eighths / 8)] * 2), min_size=2, max_size=20)


def compared(base: Any, tuned: Any, **options: Any) -> Comparison:
    return compare(result(base), result(tuned, "tuned"), **{"resamples": 500} | options)


def test_a_comparison_tells_who_won_what() -> None:
    found = compared([0.1, 0.5, 0.5, 0.9, 0.3], [0.6, 0.5, 0.25, 1.0, 0.2])
    assert (found.won, found.lost, found.tied) == (2, 2, 1)
    assert found.won_questions == ("q00000", "q00003")
    assert found.lost_questions == ("q00002", "q00004")
    assert found.tied_questions == ("q00001",)
    assert found.largest_gains(1) == [("q00000", 0.5)]
    assert [key for key, _ in found.largest_losses()] == ["q00002", "q00004"]
    assert (found.base, found.tuned) == (pytest.approx(0.46), pytest.approx(0.51))
    assert found.difference == pytest.approx(0.05)
    assert found.spread == pytest.approx(np.std([0.5, 0, -0.25, 0.1, -0.1], ddof=1))
    assert (found.base_model, found.tuned_model, found.figure) == ("base", "tuned", "ndcg@10")


def test_tests_and_interval_are_those_of_the_differences() -> None:
    random = np.random.default_rng(5)
    base, tuned = random.random((2, 40))
    found = compared(base, tuned, seed=3, confidence=0.9)
    test = sign_flip_test(tuned - base, resamples=500, seed=3)
    assert (found.p_better, found.p_worse, found.p_two_sided, found.exact) == test
    assert found.interval == bootstrap_interval(tuned - base, confidence=0.9, resamples=500, seed=3)
    assert (found.seed, found.resamples, found.confidence) == (3, 500, 0.9)
    assert compared(base, tuned, seed=4, confidence=0.9).interval != found.interval


def test_equal_models_show_nothing() -> None:
    found = compared([0.2, 0.7, 1.0], [0.2, 0.7, 1.0])
    assert (found.p_better, found.p_worse, found.p_two_sided) == (1, 1, 1)
    assert found.interval == (0, 0)
    assert (found.difference, found.spread, found.tied) == (0, 0, 3)
    assert found.smallest_visible_effect is None
    assert found.questions_needed(0.01) is None
    assert (found.largest_gains(), found.largest_losses()) == ([], [])


def test_differences_by_rounding_are_ties() -> None:
    found = compared([0.1 + 0.2, 0.5], [0.3, 0.5])
    assert (found.tied, found.p_two_sided, found.interval) == (2, 1, (0, 0))


@given(SCORES, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_numbers_are_in_bounds_whatever_the_order(scores: list[tuple[float, float]], shuffler: Any) -> None:
    base, tuned = zip(*scores, strict=True)
    found = compared(base, tuned, resamples=100)
    assert found.won + found.lost + found.tied == found.questions == len(scores)
    assert found.difference == pytest.approx(found.tuned - found.base)
    assert min(found.differences) <= found.interval[0] <= found.interval[1] <= max(found.differences)
    ids = list(result(base).question_ids)
    order = list(range(len(ids)))
    shuffler.shuffle(order)
    shuffled = [
        result([some[place] for place in order], model, question_ids=[ids[place] for place in order])
        for model, some in (("base", base), ("tuned", tuned))
    ]
    assert compare(*shuffled, resamples=100) == found
    assert Comparison.model_validate_json(found.model_dump_json()) == found


@given(SCORES)
@settings(max_examples=30)
def test_exchanged_models_exchange_the_sides(scores: list[tuple[float, float]]) -> None:
    base, tuned = zip(*scores, strict=True)
    found, turned = compared(base, tuned, resamples=100), compared(tuned, base, resamples=100)
    assert (found.p_better, found.p_worse) == (turned.p_worse, turned.p_better)
    assert (found.won, found.lost, found.p_two_sided) == (turned.lost, turned.won, turned.p_two_sided)
    assert found.difference == -turned.difference


def test_what_can_be_seen_follows_from_spread_and_number() -> None:
    random = np.random.default_rng(6)
    found = compared(random.random(100), random.random(100))
    effect = found.smallest_visible_effect
    assert effect == pytest.approx((1.6449 + 0.8416) * found.spread / 10, rel=1e-4)
    assert found.questions_needed(effect) in {100, 101}
    assert found.questions_needed(effect / 2) == pytest.approx(400, abs=1)
    assert found.visible_effect(alpha=0.01) > effect
    assert compared([0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.9, 0.1]).smallest_visible_effect is None  # p is 1 / 16 at best


def test_a_summary_is_the_comparison_without_questions() -> None:
    found = compared([0.1, 0.2, 0.3], [0.3, 0.1, 0.9])
    told = found.summary()
    assert type(told) is type(told.summary()) is ComparisonSummary
    assert told.model_dump() == found.model_dump(exclude={"question_ids", "differences"})
    assert told.smallest_visible_effect == found.smallest_visible_effect
    assert ComparisonSummary.model_validate_json(told.model_dump_json()) == told


def test_other_data_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"different data: 'handbook' \(d1\) and 'manual' \(d2\)"):
        compare(result([0.1, 0.2]), result([0.1, 0.2], data_name="manual", data_fingerprint="d2"))


def test_other_questions_are_refused_and_named() -> None:
    first, second = (result([0.5] * len(ids), question_ids=list(ids)) for ids in ("abcdef", "efg"))
    with pytest.raises(InvalidArgumentError, match=r"4 \(a, b, c, …\) of the base result only, 1 \(g\) of the tuned"):
        compare(first, second)
    with pytest.raises(InvalidArgumentError, match=r"1 \(c\) of the base result only, none of the tuned"):
        compare(*(result([0.5] * len(ids), question_ids=list(ids)) for ids in ("abc", "ab")))


def test_an_unknown_figure_is_refused_with_the_list() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'base' has no figure 'ndcg@1' by question.*'ndcg@10'"):
        compared([0.1, 0.2], [0.1, 0.2], figure="ndcg@1")
    other = result([0.1, 0.2]).model_copy(update={"by_question": {"map": (0.1, 0.2)}, "figures": {"map": 0.15}})
    with pytest.raises(InvalidArgumentError, match=r"no figure 'ndcg@10' by question; it has map"):
        compare(result([0.1, 0.2]), other)


def test_too_few_questions_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="at least 2 questions, found 1"):
        compared([0.1], [0.2])
    pairs = {"question_ids": (), "by_question": {}, "figures": {"auc": 0.5}}
    with pytest.raises(InvalidArgumentError, match="at least 2 questions, found 0"):
        compare(*[result([0.1]).model_copy(update=pairs)] * 2)


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"resamples": 99}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        compared([0.1, 0.2], [0.2, 0.1], **options)


@pytest.mark.parametrize(
    "change",
    [{"won": 3}, {"interval": (0.2, 0.1)}, {"differences": (0.1,)}, {"p_better": 1.5}, {"won": 1, "lost": 1}],
)
def test_a_comparison_that_does_not_fit_together_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        compared([0.1, 0.2], [0.2, 0.3]).model_copy(update=change)
