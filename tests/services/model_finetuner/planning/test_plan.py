"""Every row exactly once an epoch, and one number says where a run is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.planning import (
    Batch,
    BatchPlanner,
    PlanOptions,
    TrainingRows,
    plan_epoch,
)

COUNTS = st.integers(1, 90)
OPTIONS = st.builds(PlanOptions, batch_size=st.integers(1, 20), window_batches=st.integers(1, 6))


def rows_of(count: int, seed: int = 0) -> TrainingRows:
    rng = np.random.default_rng(seed)
    return TrainingRows.from_lengths(rng.integers(1, 60, (count, 2)))


@settings(max_examples=150)
@given(count=COUNTS, options=OPTIONS, epoch=st.integers(0, 5), seed=st.integers(-5, 2**70))
def test_every_row_comes_exactly_once_in_batches_of_one_size(
    count: int, options: PlanOptions, epoch: int, seed: int
) -> None:
    plan = plan_epoch(rows_of(count), options, seed=seed, epoch=epoch)
    batches = list(plan)
    assert len(batches) == len(plan)
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert all(len(batch) == options.batch_size for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= options.batch_size


@settings(max_examples=100)
@given(count=COUNTS, options=OPTIONS, epochs=st.integers(0, 3), start=st.integers(0, 200))
def test_a_run_goes_on_at_its_cursor_with_what_would_have_come(
    count: int, options: PlanOptions, epochs: int, start: int
) -> None:
    whole = list(BatchPlanner(rows_of(count), options, seed=3).batches(epochs=epochs))
    assert len(whole) == epochs * len(BatchPlanner(rows_of(count), options, seed=3))
    assert [batch.cursor for batch in whole] == list(range(len(whole)))
    rest = list(BatchPlanner(rows_of(count), options, seed=3).batches(epochs=epochs, start=start))
    assert [(one.cursor, one.epoch, one.step, one.rows.tolist()) for one in rest] == [
        (one.cursor, one.epoch, one.step, one.rows.tolist()) for one in whole[start:]
    ]


@settings(max_examples=100)
@given(count=COUNTS, options=OPTIONS, world_size=st.integers(1, 7))
def test_processes_share_every_batch(count: int, options: PlanOptions, world_size: int) -> None:
    for batch in BatchPlanner(rows_of(count), options, seed=1).batches(epochs=1):
        shares = [batch.share(rank, world_size) for rank in range(world_size)]
        assert sorted(np.concatenate(shares).tolist()) == sorted(batch.rows.tolist())
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_the_order_is_pinned() -> None:
    """A cursor of an older run must mean the same rows: a new order needs a new number of the format."""
    rows = TrainingRows.from_lengths([[number % 5 + 1, number % 7 + 1] for number in range(11)])
    planner = BatchPlanner(rows, PlanOptions(batch_size=3, window_batches=2), seed=42)
    assert [batch.rows.tolist() for batch in planner.batches(epochs=2)] == PINNED
    assert planner.fingerprint == FINGERPRINT


PINNED = [[5, 9, 4], [0, 8, 3], [7, 10, 2], [6, 1], [1, 3, 4], [0, 8, 2], [5, 9, 6], [7, 10]]
FINGERPRINT = "d0dfd6f6e32e85118d8ad41e63ed85257fd96d9106f2ec3e9c17db0d476756b0"


def test_no_hash_seed_and_no_global_state_changes_the_order(root: Path) -> None:
    code = """
import json, random, sys
import numpy as np
from ragtime.services.model_finetuner.planning import PlanOptions, TrainingRows, plan_epoch
random.seed(sys.argv[1]); np.random.seed(int(sys.argv[1]))
rows = TrainingRows.from_lengths([[number % 9 + 1, 4] for number in range(50)])
print(json.dumps(plan_epoch(rows, PlanOptions(batch_size=4), seed=1, epoch=2).order.tolist()))
"""
    told = [
        subprocess.run(
            [sys.executable, "-c", code, seed],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert sorted(json.loads(told[0])) == list(range(50))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    rows, options = rows_of(64), PlanOptions(batch_size=8)
    orders = [
        tuple(plan_epoch(rows, options, seed=seed, epoch=epoch).order.tolist()) for seed in (1, 2) for epoch in (0, 1)
    ]
    assert len(set(orders)) == 4


def test_windows_bring_rows_of_like_lengths_together() -> None:
    rows = rows_of(640)

    def spread(window: int) -> float:
        plan = plan_epoch(rows, PlanOptions(batch_size=16, window_batches=window), seed=0, epoch=0)
        return float(np.mean([np.ptp(rows.tokens[batch]) for batch in plan]))

    spreads = [spread(window) for window in (1, 4, 40)]
    assert spreads[0] > 2 * spreads[1] > 4 * spreads[2]


def test_batches_come_shuffled_and_the_short_one_last() -> None:
    rows = rows_of(650)
    plan = plan_epoch(rows, PlanOptions(batch_size=16, window_batches=40), seed=0, epoch=0)
    means = [float(rows.tokens[batch].mean()) for batch in plan][:-1]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5
    assert len(plan[len(plan) - 1]) == 10
    assert np.ptp(rows.tokens[plan[len(plan) - 1]]) > 30  # a random sample, not the longest ones


def test_one_row_is_a_batch() -> None:
    planner = BatchPlanner(rows_of(1), seed=0)
    assert len(planner) == 1
    assert [batch.rows.tolist() for batch in planner.batches(epochs=2)] == [[0], [0]]


def test_plans_cannot_be_changed() -> None:
    batch = BatchPlanner(rows_of(10), seed=0).batch(0)
    with pytest.raises(ValueError, match="read-only"):
        batch.rows[0] = 1


def test_there_are_no_batches_beside_those_of_the_plan() -> None:
    plan = plan_epoch(rows_of(10), PlanOptions(batch_size=4), seed=0, epoch=0)
    for step in (-1, 3):
        with pytest.raises(IndexError, match="There are 3 batches"):
            plan[step]


def test_the_fingerprint_is_of_all_that_the_plan_depends_on() -> None:
    planners = [
        BatchPlanner(rows_of(10), PlanOptions(batch_size=4), seed=0),
        BatchPlanner(rows_of(10), PlanOptions(batch_size=5), seed=0),
        BatchPlanner(rows_of(10), PlanOptions(batch_size=4, window_batches=2), seed=0),
        BatchPlanner(rows_of(10), PlanOptions(batch_size=4), seed=1),
        BatchPlanner(rows_of(10, seed=1), PlanOptions(batch_size=4), seed=0),
    ]
    assert len({planner.fingerprint for planner in planners}) == len(planners)
    assert planners[0].fingerprint == BatchPlanner(rows_of(10), PlanOptions(batch_size=4), seed=0).fingerprint


@pytest.mark.parametrize("name", ["batch_size", "window_batches"])
@pytest.mark.parametrize("value", [0, -3, 1.5, True, "8", None])
def test_wrong_options_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{name} must be a whole number from 1"):
        PlanOptions(**{name: value})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda planner: planner.batch(-1), "cursor"),
        (lambda planner: planner.epoch(True), "epoch"),
        (lambda planner: planner.batches(epochs=-1), "epochs"),
        (lambda planner: planner.batches(epochs=1, start=1.0), "start"),
        (lambda planner: planner.batch(0).share(2, 2), "rank"),
        (lambda planner: planner.batch(0).share(0, 0), "world_size"),
        (lambda planner: BatchPlanner(planner.rows, seed="1"), "seed"),
        (lambda planner: plan_epoch(planner.rows, planner.options, seed=1, epoch=-1), "epoch"),
    ],
)
def test_wrong_numbers_are_refused(call: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        call(BatchPlanner(rows_of(5), seed=0))


def test_a_batch_is_told_by_its_numbers() -> None:
    batch = BatchPlanner(rows_of(5), PlanOptions(batch_size=2), seed=0).batch(7)
    assert isinstance(batch, Batch)
    assert (batch.cursor, batch.epoch, batch.step) == (7, 2, 1)
