"""The line between base and tuned weights."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.services.model_finetuner.comparison import (
    InterpolationPoint,
    InterpolationSearch,
    interpolate_weights,
    search_interpolation,
)


def rising(alpha: float) -> float:
    """A target score of which the first steps bring most."""
    return 0.4 + 0.1 * (1 - (1 - alpha) ** 2)


def falling(alpha: float) -> float:
    """A general score of which the last steps cost most."""
    return 0.8 - 0.1 * alpha**3


def test_a_general_fall_is_won_back_and_most_of_the_gain_is_kept() -> None:
    found = search_interpolation(rising, falling, most_general_fall=0.02)
    assert found.alpha == pytest.approx(0.2 ** (1 / 3), abs=0.025)
    assert found.chosen.general >= 0.78
    assert found.share_won_back >= 0.8
    assert found.share_kept > 0.8
    assert (found.base.alpha, found.tuned.alpha) == (0, 1)


def test_the_tuned_model_is_kept_where_nothing_is_forgotten() -> None:
    found = search_interpolation(rising, lambda _: 0.8)
    assert found.alpha == 1
    assert found.share_kept == 1
    assert found.share_won_back is None


def test_the_base_model_is_kept_where_nothing_is_gained() -> None:
    found = search_interpolation(lambda alpha: 0.5 - alpha / 10, falling)
    assert found.alpha == 0
    assert found.share_kept is None
    assert found.share_won_back == 1
    assert search_interpolation(lambda _: 0.5, lambda _: 0.5).alpha == 0


def test_the_best_model_may_lie_between() -> None:
    found = search_interpolation(lambda alpha: 0.5 - (alpha - 0.63) ** 2, lambda _: 0.8)
    assert found.alpha == pytest.approx(0.63, abs=0.0126)
    assert found.share_kept > 1


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=9),
    st.lists(st.integers(0, 5), min_size=2, max_size=9),
    st.integers(0, 3),
    st.integers(2, 6),
    st.integers(0, 3),
)
@settings(max_examples=100)
def test_the_best_allowed_place_is_chosen_and_none_is_tried_twice(
    targets: list[int], generals: list[int], fall: int, points: int, refinements: int
) -> None:
    calls: list[tuple[str, float]] = []

    def score(kind: str, scores: list[int]) -> Any:
        def of(alpha: float) -> float:
            calls.append((kind, alpha))
            return float(scores[min(int(alpha * len(scores)), len(scores) - 1)])

        return of

    def search() -> InterpolationSearch:
        calls.clear()
        return search_interpolation(
            score("target", targets),
            score("general", generals),
            most_general_fall=fall,
            points=points,
            refinements=refinements,
        )

    found = search()
    assert len(calls) == len(set(calls)) == 2 * len(found.points)
    assert points <= len(found.points) <= points + 2 * refinements
    assert [alpha for kind, alpha in calls if kind == "target"] == [alpha for kind, alpha in calls if kind == "general"]
    allowed = [point for point in found.points if point.general >= found.base.general - fall]
    assert found.chosen in allowed
    assert found.chosen.target == max(point.target for point in allowed)
    assert found.alpha == min(point.alpha for point in allowed if point.target == found.chosen.target)
    assert search() == found
    assert InterpolationSearch.model_validate_json(found.model_dump_json()) == found


def test_the_end_of_a_search_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="ragtime"):
        found = search_interpolation(rising, falling)
    (event,) = caplog.records
    assert event.getMessage() == "search_interpolation finished"
    assert (event.alpha, event.points) == (found.alpha, len(found.points))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options",
    [{"points": 1}, {"refinements": -1}, {"most_general_fall": -0.1}, {"most_general_fall": math.nan}],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        search_interpolation(rising, falling, **options)


def test_scores_must_be_finite() -> None:
    with pytest.raises(FineTuningError, match=r"target_score\(0\) gave nan"):
        search_interpolation(lambda _: math.nan, falling)
    with pytest.raises(FineTuningError, match=r"general_score\(1\) gave inf"):
        search_interpolation(rising, lambda alpha: math.inf if alpha == 1 else 0.5)


@pytest.mark.parametrize("places", [[0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.5, 0.5, 1.0], [0.0, 1.0]])
def test_a_search_that_is_no_line_is_refused(places: list[float]) -> None:
    points = tuple(InterpolationPoint(alpha=place, target=0.5, general=0.5) for place in places)
    with pytest.raises(ValidationError):
        InterpolationSearch(points=points, alpha=0.25, most_general_fall=0.01)


def state(seed: int, dtype: str = "float32") -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    random = torch.Generator().manual_seed(seed)
    weights = {name: torch.randn(4, 3, generator=random).to(getattr(torch, dtype)) for name in ("a.weight", "b.weight")}
    return weights | {"positions": torch.arange(5)}


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_the_ends_of_the_line_are_the_models_bit_by_bit(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    base, tuned = state(1, dtype), state(2, dtype)
    for alpha, wanted in ((0, base), (0.0, base), (1, tuned), (1.0, tuned)):
        found = interpolate_weights(base, tuned, alpha)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)
        assert all(found[name].data_ptr() != wanted[name].data_ptr() for name in wanted)


@given(st.floats(0, 1))
@settings(max_examples=50)
def test_weights_between_are_the_mean_of_the_ends(alpha: float) -> None:
    torch = pytest.importorskip("torch")
    base, tuned = state(1), state(2)
    found = interpolate_weights(base, tuned, alpha)
    for name in ("a.weight", "b.weight"):
        wanted = (1 - alpha) * base[name].double() + alpha * tuned[name].double()
        assert found[name].dtype == torch.float32
        assert torch.allclose(found[name].double(), wanted, atol=1e-6)
    same = interpolate_weights(base, base, alpha)
    assert all(torch.equal(same[name], base[name]) for name in base)


def test_models_on_a_line_need_no_gradient() -> None:
    base = {name: tensor.requires_grad_(tensor.is_floating_point()) for name, tensor in state(1).items()}
    assert not any(tensor.requires_grad for tensor in interpolate_weights(base, state(2), 0.5).values())


def test_models_of_another_structure_are_refused_and_the_difference_is_named() -> None:
    torch = pytest.importorskip("torch")
    base = state(1)
    with pytest.raises(InvalidArgumentError, match=r"merge adapters.*base model only: none.*only: 1 \(a\.lora\)"):
        interpolate_weights(base, state(2) | {"a.lora": torch.ones(1)}, 0.5)
    with pytest.raises(InvalidArgumentError, match=r"'a\.weight' is torch\.float32 of shape \[4, 3\]"):
        interpolate_weights(base, state(2) | {"a.weight": torch.ones(2)}, 0.5)
    with pytest.raises(InvalidArgumentError, match=r"torch\.float64"):
        interpolate_weights(base, state(2, "float64"), 0.5)
    with pytest.raises(InvalidArgumentError, match="'positions' holds"):
        interpolate_weights(base, state(2) | {"positions": torch.ones(5, dtype=torch.int64)}, 0.5)
    for alpha in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidArgumentError, match="from 0 to 1"):
            interpolate_weights(base, state(2), alpha)


def test_a_model_that_has_forgotten_is_won_back_by_its_weights() -> None:
    """A linear model learns two new points at the cost of old ones; the line wins the old ones back."""
    torch = pytest.importorskip("torch")
    random = torch.Generator().manual_seed(0)
    old, new = torch.randn(200, 20, generator=random), torch.randn(30, 20, generator=random)
    truth, other = torch.randn(20, generator=random), torch.randn(20, generator=random)
    base = {"weight": truth}
    tuned = {"weight": truth + 0.6 * other}

    def score(inputs: Any, wanted: Any) -> Any:
        def of(alpha: float) -> float:
            weights = interpolate_weights(base, tuned, alpha)["weight"]
            return 1 - float(((inputs @ weights - wanted) ** 2).mean()) / float((wanted**2).mean())

        return of

    limit = 0.02
    found = search_interpolation(
        score(new, new @ (truth + 0.6 * other)), score(old, old @ truth), most_general_fall=limit
    )
    assert found.base.general - found.tuned.general > 0.1
    assert found.base.general - found.chosen.general <= limit
    assert found.share_won_back >= 0.8
    assert 0 < found.alpha < 1
