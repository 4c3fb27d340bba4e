"""Evaluations during training take about a tenth of the time, on a clock that counts what is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.services.model_finetuner import FineTuningConfig
from ragtime.services.model_finetuner.forward import BatchEncoder, StepOutcome, tokenize_texts
from ragtime.services.model_finetuner.training.base import make_ready
from ragtime.services.model_finetuner.training.folder import RunFolder
from ragtime.services.model_finetuner.training.history import History
from ragtime.services.model_finetuner.training.loop import Evaluation, TrainingLoop
from ragtime.services.model_finetuner.training.parts import Start, make_parts
from ragtime.services.model_finetuner.training.prepared import prepare_data, prepare_validation
from ragtime.services.model_finetuner.training.processes import Processes
from ragtime.services.model_finetuner.training.stopping import StopRequest
from ragtime.testing import tiny_model
from ragtime.utils.hashing import keyed_random
from ragtime.utils.progress import track

pytestmark = pytest.mark.models

_PASSES = {"full": 3.0, "lora": 2.0}  # that a step takes


class Clock:
    """Time that passes with the tokens that are computed."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TimedEncoder:
    """Takes the steps of an encoder, and lets time pass."""

    def __init__(self, encoder: BatchEncoder, clock: Clock, passes: float) -> None:
        self._encoder, self._clock, self._passes = encoder, clock, passes

    def step(self, *arguments: Any, **options: Any) -> StepOutcome:
        outcome = self._encoder.step(*arguments, **options)
        self._clock.now += self._passes * outcome.tokens
        return outcome

    def state(self) -> dict[str, int | None]:
        return self._encoder.state()


def rows(count: int) -> list[tuple[str, str]]:
    """Short questions, and passages of many lengths, which share nothing."""
    return [(_words(4, "query", number), _words(8 + number % 12, "passage", number)) for number in range(count)]


def _words(count: int, *keys: str | int) -> str:
    letters = keyed_random(0, *keys).choices("abcdefghijklmnopqrstuvwxyz", k=5 * count)
    return " ".join("".join(letters[start : start + 5]) for start in range(0, len(letters), 5))


@pytest.mark.parametrize(
    ("count", "fields"),
    [
        pytest.param(1_200, {}, id="one epoch"),
        pytest.param(1_200, {"num_epochs": 2}, id="two epochs", marks=pytest.mark.slow),
        pytest.param(2_400, {"evaluation_steps": 12}, id="many evaluations", marks=pytest.mark.slow),
        pytest.param(2_400, {"strategy": "lora", "lora_rank": 4}, id="lora", marks=pytest.mark.slow),
    ],
)
def test_evaluations_take_a_tenth_of_the_time(count: int, fields: dict[str, Any], tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path, logging__progress="off")
    usual = {"batch_size": 64, "max_seq_length": 128, "precision": "float32", "early_stopping_patience": 99}
    config = FineTuningConfig(**{**usual, **fields}).resolved(settings)
    data = prepare_data(config, rows(count))
    validation = prepare_validation(config, data)
    assert validation is not None
    model = tiny_model(layers=1)
    make_ready(model, config, None)
    start = Start(model, "float32", data, validation, RunFolder.of(tmp_path, {}), Processes(), {})
    parts = make_parts(config, start, History(None)).parts
    clock = Clock()
    tokens = int(tokenize_texts(model, [*validation.queries, *validation.passages]).lengths.sum())
    measured = parts.evaluation
    assert measured is not None

    def measure() -> Mapping[str, float]:
        clock.now += tokens
        return measured.measure()

    timed: Any = TimedEncoder(parts.encoder, clock, _PASSES[config.strategy])
    loop = TrainingLoop(
        config, replace(parts, encoder=timed, evaluation=Evaluation(measure, config.validation_metric)), clock=clock
    )
    with track("Fine-tuning", total=loop.steps, unit="steps", mode="off") as progress:
        loop.run(progress, StopRequest())
    spent = sum(one.seconds for one in parts.history.evaluations)
    share = spent / clock.now
    assert len(parts.history.evaluations) >= 2
    assert 0.01 < share <= 0.1


def test_a_validation_does_not_depend_on_the_number_of_epochs() -> None:
    chosen = []
    for epochs in (1, 5):
        config = FineTuningConfig(num_epochs=epochs).resolved(Settings.isolated())
        validation = prepare_validation(config, prepare_data(config, rows(1_000)))
        assert validation is not None
        chosen.append((validation.queries, validation.passages))
    assert chosen[0] == chosen[1]


def test_small_data_are_validated_by_enough_texts() -> None:
    config = FineTuningConfig().resolved(Settings.isolated())
    validation = prepare_validation(config, prepare_data(config, rows(300)))
    assert validation is not None
    assert len(validation.queries) + len(validation.passages) == 200
    assert validation.left_out == 0
