"""The ledger: it balances, or there is none."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ragtime.services.training_data_gen import GenerationMetrics, StageLedger
from ragtime.services.training_data_gen.ledger import Ledger, Quantiles

STAGES = ("make", "check", "choose")
FATES = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 3), st.sampled_from(["long", "short"])), max_size=60
)


@given(FATES)
@settings(max_examples=100)
def test_whatever_becomes_of_candidates_the_ledger_balances(fates: list[tuple[str, int, str]]) -> None:
    ledger = Ledger(STAGES)
    for strategy, passed, reason in fates:
        for stage in STAGES[:passed]:
            ledger.keep(stage, strategy)
        if passed < len(STAGES):
            ledger.reject(STAGES[passed], strategy, reason)
    produced = sum(passed == len(STAGES) for _, passed, _ in fates)
    metrics = GenerationMetrics(produced=produced, stages=ledger.stages())
    assert metrics.candidates == len(fates)
    assert sum(metrics.rejected.values()) == len(fates) - produced
    assert metrics.rejected == dict(Counter(reason for _, passed, reason in fates if passed < len(STAGES)))
    assert GenerationMetrics.model_validate_json(metrics.model_dump_json()) == metrics


@pytest.mark.parametrize(
    "fields",
    [
        {"candidates": 3, "kept": 1, "rejected": {"x": 1}},
        {"candidates": 1, "kept": 2},
        {"candidates": 1, "kept": 1, "rejected": {"x": 0}},
    ],
)
def test_a_stage_that_does_not_balance_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StageLedger(stage="make", strategy="a", **fields)  # type: ignore[arg-type]


def test_stages_that_do_not_fit_together_are_refused() -> None:
    first = StageLedger(stage="make", strategy="a", candidates=3, kept=2, rejected={"x": 1})
    second = StageLedger(stage="choose", strategy="a", candidates=3, kept=3)
    with pytest.raises(ValidationError, match="candidates of the next"):
        GenerationMetrics(stages=(first, second), produced=3)
    with pytest.raises(ValidationError, match="what was produced"):
        GenerationMetrics(stages=(first,), produced=1)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
@settings(max_examples=50)
def test_quantiles_are_values_in_order(values: list[float]) -> None:
    found = Quantiles.of(values)
    points = [found.minimum, found.quarter, found.median, found.three_quarters, found.maximum]
    assert points == sorted(points)
    assert set(points) <= set(values)
    assert (points[0], points[-1], found.count) == (min(values), max(values), len(values))
