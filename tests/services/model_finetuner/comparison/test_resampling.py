"""Tests, intervals and power of paired differences: against scipy, against counting, and in the long run."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.comparison import bootstrap_interval, sign_flip_test
from ragtime.services.model_finetuner.comparison.resampling import fewest_questions, questions_needed, visible_effect
from tests.services.model_finetuner.comparison.scores import equal_models

DIFFERENCES = st.lists(st.integers(-8, 8).map(lambda eighths: eighths / 8), min_size=2, max_size=30)


def mean(values: np.ndarray, axis: int) -> Any:
    return values.mean(axis=axis)


@pytest.mark.parametrize("seed", range(5))
def test_exact_p_values_are_those_of_scipy(seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    differences = np.random.default_rng(seed).normal(0.3, 1, 9)
    found = sign_flip_test(differences)
    wanted = {
        side: stats.permutation_test(
            (differences,), mean, permutation_type="samples", n_resamples=np.inf, vectorized=True, alternative=side
        ).pvalue
        for side in ("greater", "less", "two-sided")
    }
    assert found.exact
    assert (found.greater, found.less, found.two_sided) == pytest.approx(tuple(wanted.values()), abs=1e-15)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1])
def test_sampled_p_values_are_those_of_scipy_but_for_chance(shift: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    differences = np.random.default_rng(1).normal(shift, 0.5, 80)
    found = sign_flip_test(differences, resamples=20_000)
    wanted = stats.permutation_test(
        (differences,),
        mean,
        permutation_type="samples",
        n_resamples=10_000,
        vectorized=True,
        alternative="greater",
        rng=np.random.default_rng(2),
    ).pvalue
    assert not found.exact
    assert found.greater == pytest.approx(wanted, abs=4 * math.sqrt(0.25 / 10_000))


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=9))
@settings(max_examples=100)
def test_exact_p_values_count_all_signs(eighths: list[int]) -> None:
    sums = [0]
    for one in eighths:
        sums = [total + signed for total in sums for signed in (one, -one)]
    found, total = sign_flip_test([one / 8 for one in eighths]), sum(eighths)
    assert found.greater == sum(some >= total for some in sums) / len(sums)
    assert found.less == sum(some <= total for some in sums) / len(sums)
    assert found.two_sided == sum(abs(some) >= abs(total) for some in sums) / len(sums)


def test_sums_that_differ_by_rounding_are_equal() -> None:
    # 0.1 + 0.2 - 0.3 is not quite 0, and so are other sums of these that are 0.
    assert sign_flip_test([0.1, 0.2, -0.3, 0.4, -0.4]) == sign_flip_test([1, 2, -3, 4, -4])


@given(DIFFERENCES, st.integers(0, 3))
@settings(max_examples=100)
def test_p_values_are_in_bounds_and_turn_with_the_signs(differences: list[float], seed: int) -> None:
    found = sign_flip_test(differences, resamples=200, seed=seed)
    turned = sign_flip_test([-one for one in differences], resamples=200, seed=seed)
    assert all(0 < value <= 1 for value in found[:3])
    assert found.greater + found.less >= 1
    assert (found.greater, found.less, found.two_sided) == (turned.less, turned.greater, turned.two_sided)
    assert found == sign_flip_test([*differences, 0.0, 0.0], resamples=200, seed=seed)  # ties tell nothing


def test_a_sampled_p_value_is_never_zero() -> None:
    found = sign_flip_test(np.full(200, 0.5), resamples=199)
    assert found == (0.005, 1.0, 0.005, False)


def test_large_samples_are_drawn_in_blocks() -> None:
    differences = np.random.default_rng(0).normal(0.004, 0.3, 6_000)
    assert 0.05 < sign_flip_test(differences, resamples=2_000).greater < 0.4


def bca_reference(differences: np.ndarray, confidence: float) -> tuple[float, float]:
    """The interval as Efron and Tibshirani define it, with the acceleration of a mean in closed form."""
    random, normal = np.random.default_rng(9), NormalDist()
    means = random.choice(differences, (20_000, len(differences))).mean(axis=1)
    centred = differences - differences.mean()
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    bias = normal.inv_cdf(float((means < differences.mean()).mean()))
    ends = []
    for share in ((1 - confidence) / 2, (1 + confidence) / 2):
        moved = bias + normal.inv_cdf(share)
        ends.append(float(np.quantile(means, normal.cdf(bias + moved / (1 - acceleration * moved)))))
    return ends[0], ends[1]


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("power", [1, 3])
def test_the_interval_is_that_of_its_definition_but_for_chance(confidence: float, power: int) -> None:
    pytest.importorskip("scipy")
    differences = np.random.default_rng(4).normal(0.2, 1, 60) ** power
    low, high = bca_reference(differences, confidence)
    assert bootstrap_interval(differences, confidence=confidence, resamples=20_000) == pytest.approx(
        (low, high), abs=0.04 * (high - low)
    )


@given(DIFFERENCES, st.sampled_from([0.5, 0.95, 0.999]), st.sampled_from([100, 300]))
@settings(max_examples=150)
def test_the_interval_lies_within_the_differences(differences: list[float], confidence: float, resamples: int) -> None:
    pytest.importorskip("scipy")
    low, high = bootstrap_interval(differences, confidence=confidence, resamples=resamples)
    assert min(differences) - 1e-12 <= low <= high <= max(differences) + 1e-12


def test_differences_without_spread_have_an_interval_without_width() -> None:
    pytest.importorskip("scipy")
    assert bootstrap_interval([0.0] * 5) == (0.0, 0.0)
    assert bootstrap_interval([0.3 - 0.2, 0.1, 0.4 - 0.3]) == pytest.approx((0.1, 0.1))


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    pytest.importorskip("scipy")
    random = np.random.default_rng(11)
    held = 0
    for seed in range(300):
        first, second = equal_models(random, 100)
        low, high = bootstrap_interval(second - first, confidence=0.9, resamples=500, seed=seed)
        held += low <= 0 <= high
    assert 0.85 < held / 300 < 0.95


def test_a_visible_effect_is_found_as_often_as_it_says() -> None:
    random = np.random.default_rng(12)
    effect = visible_effect(0.3, 60, power=0.8)
    found = [sign_flip_test(random.normal(effect, 0.3, 60), resamples=999).greater <= 0.05 for _ in range(400)]
    assert 0.74 < np.mean(found) < 0.86


@given(st.floats(1e-3, 1), st.floats(1e-4, 1), st.sampled_from([0.01, 0.05]), st.sampled_from([0.5, 0.8, 0.95]))
@settings(max_examples=100)
def test_questions_needed_are_the_fewest_that_show_the_effect(
    spread: float, effect: float, alpha: float, power: float
) -> None:
    needed = questions_needed(spread, effect, alpha=alpha, power=power)
    assert visible_effect(spread, needed, alpha=alpha, power=power) <= effect * (1 + 1e-9)
    if needed > fewest_questions(alpha):
        assert visible_effect(spread, needed - 1, alpha=alpha, power=power) > effect * (1 - 1e-9)


@pytest.mark.parametrize(("alpha", "fewest"), [(0.5, 1), (0.05, 5), (0.01, 7)])
def test_fewer_questions_cannot_reach_the_level(alpha: float, fewest: int) -> None:
    assert fewest_questions(alpha) == fewest
    assert sign_flip_test([1.0] * fewest).greater <= alpha
    assert sign_flip_test([1.0] * (fewest - 1)).greater > alpha


@pytest.mark.parametrize(
    ("differences", "options", "message"),
    [
        ([[0.1, 0.2]], {}, r"shape \[1, 2\]"),
        ([0.1, math.nan], {}, "nan"),
        ([0.1, math.inf], {}, "infinity"),
        ([0.1, 0.2], {"resamples": 99}, "at least 100, found 99"),
    ],
)
def test_wrong_differences_are_refused(differences: Any, options: dict[str, Any], message: str) -> None:
    for function in (sign_flip_test, bootstrap_interval):
        with pytest.raises(InvalidArgumentError, match=message):
            function(differences, **options)


def test_wrong_options_are_refused() -> None:
    for wrong in (0.3, 1.0, math.nan):
        with pytest.raises(InvalidArgumentError, match="confidence"):
            bootstrap_interval([0.1, 0.2], confidence=wrong)
    for few in ([], [0.1]):
        with pytest.raises(InvalidArgumentError, match="at least 2"):
            bootstrap_interval(few)
    for effect in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(InvalidArgumentError, match="effect"):
            questions_needed(0.3, effect)
    for alpha, power in ((0.0, 0.8), (1.0, 0.8), (0.05, 1.0), (0.1, 0.1)):
        with pytest.raises(InvalidArgumentError, match=r"alpha|power"):
            visible_effect(0.3, 10, alpha=alpha, power=power)
