"""One training run of the old module: examples in, a named model with its metadata out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ragtime.services.model_finetuner import FineTuningConfig, FineTuningMetrics, ModelFineTuner
from ragtime.services.model_finetuner.training.folder import int8_place
from ragtime_compat.finetuning_data import Example, TrainingRows, training_rows
from ragtime_compat.finetuning_folders import RunNotes, free_name
from ragtime_compat.finetuning_records import TrainingMetrics, training_history

__all__ = ["TunedModel", "TuningOrder", "changed_config", "tune"]

_RUNS = ".runs"  # a hidden folder, so that nothing half-made is listed


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningOrder:
    """What a run is to do.

    Attributes:
        config: What the run is told, resolved.
        told: The values of the configuration that are written down.
        base_model: What the base model is called.
        folder: The folder of the models.
        suffix: What the name of the model begins with; ``None`` means ``finetuned``.
        local_time: Returns the time without a time zone.
    """

    config: FineTuningConfig
    told: Mapping[str, Any]
    base_model: str
    folder: Path
    suffix: str | None
    local_time: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class TunedModel:
    """What came out of a run.

    Attributes:
        name: The name of the model.
        metrics: What the run tells of itself, with the folder of the model.
        history: Its epochs, as the old module told them.
        seconds: How long it took.
    """

    name: str
    metrics: FineTuningMetrics
    history: list[TrainingMetrics]
    seconds: float


def changed_config(config: FineTuningConfig, **fields: Any) -> FineTuningConfig:
    """Return a config with other values, which are checked; pydantic.ValidationError when they are wrong."""
    given = {name: getattr(config, name) for name in config.model_fields_set}
    return type(config)(**{**given, **fields})


def tune(
    order: TuningOrder,
    training: Sequence[Example],
    validation: Sequence[Example],
    make_tuner: Callable[[FineTuningConfig], ModelFineTuner],
) -> TunedModel:
    """Train, write down what came out, and give the model its name.

    Args:
        order: What to do.
        training: What to train on.
        validation: What to validate on; empty for nothing.
        make_tuner: Gives the tuner that trains, for the config of this run.

    Returns:
        What came out. A run that does not end leaves its checkpoints, from which the same run goes on.

    Raises:
        InvalidArgumentError: The suffix is no beginning of a file name, or the examples cannot be trained on.
        OSError: The folder of the model cannot be moved to its place.
        RagtimeError: See ``ModelFineTuner.train``.
    """
    start = order.local_time()
    name = free_name(order.folder, order.suffix, start)
    rows = training_rows(training, validation, order.config.loss_function)
    metrics = make_tuner(_run_config(order, rows)).train(rows.training, rows.validation or None)
    end = order.local_time()
    history = training_history(metrics, end.isoformat())
    notes = RunNotes(name, order.base_model, start, end, order.told, len(training), len(validation), history)
    notes.write(metrics.model_path)
    return TunedModel(name, _moved(metrics, order.folder / name), history, notes.seconds)


def _run_config(order: TuningOrder, rows: TrainingRows) -> FineTuningConfig:
    config = order.config
    steps = -(-len(rows.training) // (config.batch_size * config.gradient_accumulation_steps))
    every = config.evaluation_steps
    return changed_config(
        config,
        base_model_name=order.base_model,
        output_dir=order.folder / _RUNS,
        loss_function=rows.loss,
        validation_split=0.0,  # the caller holds validation data out, or none
        evaluation_steps=every if every is not None and every < steps else None,  # at least once an epoch
    )


def _moved(metrics: FineTuningMetrics, place: Path) -> FineTuningMetrics:
    """Move what a run has made to its place, and remove what the run has left."""
    int8 = None if metrics.int8_path is None else metrics.int8_path.rename(int8_place(place))
    metrics.model_path.rename(place)
    shutil.rmtree(metrics.run_path, ignore_errors=True)
    with suppress(OSError):  # other runs are in it
        metrics.run_path.parent.rmdir()
        metrics.run_path.parent.parent.rmdir()
    return metrics.model_copy(update={"model_path": place, "int8_path": int8})
