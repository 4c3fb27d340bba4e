"""What a training run says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from ragtime.records.base import FrozenDict, Identifier, Record, Text, freeze
from ragtime.services.model_finetuner.comparison.interpolation import InterpolationSearch

__all__ = ["Choice", "EpochRecord", "EvaluationRecord", "FineTuningMetrics", "StepRecord", "TrainingDataSummary"]

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Counts = Annotated[Mapping[Identifier, Count], AfterValidator(freeze)]
Figures = Annotated[Mapping[Identifier, float], AfterValidator(freeze)]


class Choice(Record):
    """Something that the run chose by itself.

    Attributes:
        name: What was chosen, such as ``loss_function``.
        value: What it became.
        reason: Why.
    """

    name: Identifier
    value: Text
    reason: Text


class StepRecord(Record):
    """One optimizer step.

    Attributes:
        step: Its number, from 1.
        epoch: Its epoch, from 1.
        loss: Mean loss of its batches, each before the step.
        learning_rate: The rate it was taken with.
        gradient_norm: Length of the gradient before it was clipped; ``None`` when half precision overflowed, and the
            step was left out.
        tokens_per_second: Tokens without padding, distinct texts only, by the seconds of the step.
        padding: Share of the computed tokens that were padding.
        seconds: How long it took.
        counts: Candidates, and those left out of the loss, by reason; forward passes, and those computed a second time.
    """

    step: Annotated[int, Field(ge=1)]
    epoch: Annotated[int, Field(ge=1)]
    loss: float
    learning_rate: NotNegative
    gradient_norm: NotNegative | None
    tokens_per_second: NotNegative
    padding: Share
    seconds: NotNegative
    counts: Counts = Field(default_factory=FrozenDict)


class EpochRecord(Record):
    """One pass over the data, or what there was of the last one.

    Attributes:
        epoch: Its number, from 1.
        steps: Optimizer steps taken.
        loss: Mean loss of its steps.
        learning_rate: That of the last step.
        gradient_norm: Mean length of the gradients before clipping; ``None`` when none was finite.
        tokens_per_second: Tokens without padding by the seconds of the steps.
        padding: Share of the computed tokens that were padding.
        seconds: How long the steps took; evaluations and checkpoints come on top.
        counts: Sums of those of the steps.
    """

    epoch: Annotated[int, Field(ge=1)]
    steps: Annotated[int, Field(ge=1)]
    loss: float
    learning_rate: NotNegative
    gradient_norm: NotNegative | None
    tokens_per_second: NotNegative
    padding: Share
    seconds: NotNegative
    counts: Counts = Field(default_factory=FrozenDict)


class EvaluationRecord(Record):
    """The validation data, measured once.

    Attributes:
        step: Steps taken before; 0 is the base model.
        figures: The figures by name, such as ``ndcg@10``.
        seconds: How long it took.
    """

    step: Count
    figures: Figures
    seconds: NotNegative


class TrainingDataSummary(Record):
    """What the run was trained on.

    Attributes:
        shape: What the rows say; see the guide.
        training_rows: Rows trained on.
        validation_rows: Rows held out.
        distinct_texts: Distinct texts of both.
        truncated_texts: How many of them are longer than the model reads.
        dropped: Rows left out, by reason.
        fingerprint: Hash of all rows.
        dataset_ids: The generated data sets that they came from.
        lineage: Ids of what they were made of, by kind: ``users``, ``conversations``, ``turns``, ``documents``, ...
    """

    shape: Identifier
    training_rows: Count
    validation_rows: Count
    distinct_texts: Count
    truncated_texts: Count
    dropped: Counts = Field(default_factory=FrozenDict)
    fingerprint: Identifier
    dataset_ids: tuple[Identifier, ...] = ()
    lineage: Annotated[Mapping[Identifier, tuple[Identifier, ...]], AfterValidator(freeze)] = Field(
        default_factory=FrozenDict
    )


class FineTuningMetrics(Record):
    """What came out of a training run.

    Attributes:
        loss: Mean training loss of the last epoch.
        model_path: The folder of the tuned model.
        int8_path: Strategy ``quantized``: the folder with int8 weights; else ``None``.
        run_path: The folder of the run, with its checkpoints.
        validation: The figures of the model that was kept: those of ``best_step``, or of the place on the line that was
            chosen; empty without validation.
        baseline: Those of the base model.
        best_step: The step whose weights were kept: the best by ``validation_metric``, else the last.
        interpolation: What the search of the line between the base weights and these has found; ``None`` when nothing
            was searched, as where the general check did not fall.
        total_steps: Steps taken.
        planned_steps: Steps there would have been without stopping early.
        stopped_early: Whether the figure had stopped to improve.
        steps: The steps.
        epochs: The epochs.
        evaluations: The evaluations, that of the base model first.
        data: What was trained on.
        choices: What was chosen by the run itself, and why.
        trained_parameters: How many weights were trained.
        parameters: How many the model has.
        rounding_difference: Strategy ``quantized``: largest difference between an embedding in training and that of
            the plain model with rounded weights; else ``None``.
        seconds: How long the run took, all its attempts together.
        peak_host_bytes: Most memory that the process had, from its start; of the last attempt.
        peak_device_bytes: Most memory allocated on the GPU; ``None`` on a CPU.
        gpu_utilisation: Mean share of the time in which the GPU computed, by NVML; ``None`` when unknown.
    """

    loss: float
    model_path: Path
    int8_path: Path | None = None
    run_path: Path
    validation: Figures = Field(default_factory=FrozenDict)
    baseline: Figures = Field(default_factory=FrozenDict)
    best_step: Count
    interpolation: InterpolationSearch | None = None
    total_steps: Count
    planned_steps: Count
    stopped_early: bool = False
    steps: tuple[StepRecord, ...] = ()
    epochs: tuple[EpochRecord, ...] = ()
    evaluations: tuple[EvaluationRecord, ...] = ()
    data: TrainingDataSummary
    choices: tuple[Choice, ...] = ()
    trained_parameters: Count
    parameters: Count
    rounding_difference: NotNegative | None = None
    seconds: NotNegative
    peak_host_bytes: Count
    peak_device_bytes: Count | None = None
    gpu_utilisation: Share | None = None
