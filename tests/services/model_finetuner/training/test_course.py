"""Properties of the course of a run: learning rate, stopping, history."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.metrics import EvaluationRecord, StepRecord
from ragtime.services.model_finetuner.training.history import History, epochs_of
from ragtime.services.model_finetuner.training.schedule import Schedule
from ragtime.services.model_finetuner.training.stopping import EarlyStopping

Kind = Literal["constant", "linear", "cosine"]


@given(kind=st.sampled_from(["constant", "linear", "cosine"]), steps=st.integers(1, 300), warmup=st.integers(0, 400))
def test_a_learning_rate_rises_then_falls_within_its_bounds(kind: Kind, steps: int, warmup: int) -> None:
    schedule = Schedule.capped(kind, 0.1, steps, warmup)
    rates = [schedule.rate(step) for step in range(steps)]
    assert all(0 < rate <= 0.1 for rate in rates)
    assert schedule.warmup <= steps / 10
    rising, falling = rates[: schedule.warmup + 1], rates[schedule.warmup :]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert max(rates) == pytest.approx(0.1)


def test_the_named_courses_are_the_usual_ones() -> None:
    assert [Schedule("linear", 1.0, 4).rate(step) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert [Schedule("constant", 1.0, 4).rate(step) for step in range(4)] == [1.0] * 4
    assert Schedule("cosine", 1.0, 4).rate(2) == pytest.approx(0.5)
    assert [Schedule("constant", 1.0, 30, 3).rate(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert Schedule.capped("linear", 1.0, 50, None).warmup == 5
    with pytest.raises(InvalidArgumentError, match="0 to 3"):
        Schedule("linear", 1.0, 4).rate(4)


def test_a_run_stops_after_as_many_evaluations_without_improvement_as_its_patience() -> None:
    stopping = EarlyStopping(patience=2, min_change=0.01)
    told = [stopping.told(score) for score in (0.5, 0.505, 0.6, 0.6, 0.609)]
    assert told == [False, False, False, False, True]


def test_the_count_of_patience_survives_a_checkpoint() -> None:
    before = EarlyStopping(patience=2)
    before.told(0.5)
    before.told(0.4)
    after = EarlyStopping(patience=2)
    after.load_state(before.state())
    assert after.told(0.5)


def _step(step: int, epoch: int = 1, **fields: object) -> StepRecord:
    values = {"loss": 1.0, "learning_rate": 0.1, "gradient_norm": 2.0, "tokens_per_second": 10.0, "padding": 0.5}
    return StepRecord(step=step, epoch=epoch, seconds=2.0, **{**values, **fields})


def test_a_history_forgets_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    for number in (1, 2, 3):
        history.add_step(_step(number))
    history.add_evaluation(EvaluationRecord(step=2, figures={"ndcg@10": 0.5}, seconds=1.0))
    history.close()
    with path.open("a") as file:
        file.write('["step", {"step": 1, "lo')  # what a killed process leaves
    again = History(path, until=2)
    assert [step.step for step in again.steps] == [1, 2]
    assert [one.figures for one in again.evaluations] == [{"ndcg@10": 0.5}]
    again.add_step(_step(3))
    again.close()
    assert [step.step for step in History(path, until=9).steps] == [1, 2, 3]
    assert History(path).steps == []


def test_epochs_sum_up_their_steps() -> None:
    steps = [
        _step(1, counts={"candidates": 5}),
        _step(
            2, loss=3.0, gradient_norm=None, tokens_per_second=30.0, padding=0.0, counts={"candidates": 2, "masked": 1}
        ),
        _step(3, epoch=2),
    ]
    first, second = epochs_of(steps)
    assert (first.epoch, first.steps, first.loss, first.seconds, first.gradient_norm) == (1, 2, 2.0, 4.0, 2.0)
    assert first.tokens_per_second == 20.0
    assert first.padding == pytest.approx(1 - 80 / 100)
    assert first.counts == {"candidates": 7, "masked": 1}
    assert second.steps == 1
