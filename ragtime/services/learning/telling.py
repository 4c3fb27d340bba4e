"""The report of a run, put together from what its stages came to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

from ragtime.services.learning.data import LearnedData
from ragtime.services.learning.held_out import HeldOut
from ragtime.services.learning.measuring import Measured, beginning, estimates_of
from ragtime.services.learning.report import (
    DataAccount,
    LearningReport,
    LossPoint,
    MeasuredModel,
    ShownExample,
    TrainingAccount,
    ValidationPoint,
)
from ragtime.services.learning.verdict import Verdict
from ragtime.services.model_finetuner import Decision, FineTuningConfig, FineTuningMetrics
from ragtime.services.model_finetuner.comparison import ComparisonSummary
from ragtime.services.training_data_gen import RejectedCandidate, TrainingExample
from ragtime.services.training_data_gen.quality import Redactor
from ragtime.utils.hashing import keyed_order

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = [
    "ReportFrame",
    "Trained",
    "data_account",
    "measured_model",
    "shown_kept",
    "tell_outcome",
    "tell_too_little",
    "training_account",
]

T = TypeVar("T")

_SAME_EVERYWHERE = {"data_shape", "validation", "loss_function", "learning_rate", "warmup_steps", "best_step"} | {
    "early_stopping",
    "interpolation",
}
"""Choices of a training run that depend on no machine."""


@dataclass(frozen=True)
class Trained:
    """The training of a run.

    Attributes:
        metrics: What it tells of itself.
        config: What it was told.
        packages: What computed, with versions.
    """

    metrics: FineTuningMetrics
    config: FineTuningConfig
    packages: Mapping[str, str]


@dataclass(frozen=True)
class ReportFrame:
    """What every report of a run says.

    Attributes:
        name: What the model is called.
        run_id: The run.
        settings: The settings that change results.
        settings_hash: Their hash.
        seed: The seed.
        shown: Examples and questions of each kind that are shown.
        sources: The sources by kind, with their hashes.
    """

    name: str
    run_id: str
    settings: Mapping[str, JsonValue]
    settings_hash: str
    seed: int
    shown: int
    sources: Mapping[str, str]


# --- data -----------------------------------------------------------------------------------------------------------


def data_account(
    frame: ReportFrame,
    data: LearnedData,
    held_out: HeldOut | None,
    kept: tuple[ShownExample, ...],
    *,
    missing_pairs: int,
    missing_questions: int,
) -> DataAccount:
    """Tell what was made of the sources.

    Args:
        frame: The run.
        data: What was made.
        held_out: The questions of the gate; ``None`` for none.
        kept: Some of the examples.
        missing_pairs: Training pairs that are missing.
        missing_questions: Held-out questions that are missing.

    Returns:
        The account.
    """
    return DataAccount(
        sources=frame.sources,
        dataset_id=data.dataset_id,
        training_pairs=data.training_pairs,
        validation_pairs=data.validation_pairs,
        held_out=None if held_out is None else held_out.account,
        missing_pairs=missing_pairs,
        missing_questions=missing_questions,
        metrics=data.metrics,
        kept=kept,
        rejected=_shown_rejected(data.rejected, frame.shown),
    )


def shown_kept(examples: Iterable[TrainingExample], frame: ReportFrame) -> tuple[ShownExample, ...]:
    """Choose examples that a reader may judge the data by: by turns of every strategy, the same whatever their order.

    Args:
        examples: The examples that are trained on.
        frame: Says how many, and by which seed.

    Returns:
        Some of them.
    """
    redactor = Redactor()
    groups: dict[str, list[TrainingExample]] = {}
    for example in examples:
        groups.setdefault(example.strategy or "-", []).append(example)
    drawn = [
        keyed_order(some, frame.seed, "shown", key=lambda one: one.id)[: frame.shown]
        for _, some in sorted(groups.items())
    ]
    return tuple(
        ShownExample(
            strategy=one.strategy or "-",
            query=beginning(one.query, redactor),
            response=beginning(one.response, redactor),
            weak=one.weak,
        )
        for one in _by_turns(drawn)[: frame.shown]
    )


def _shown_rejected(rejected: Sequence[RejectedCandidate], count: int) -> tuple[ShownExample, ...]:
    redactor = Redactor()
    groups: dict[tuple[str, str, str], list[RejectedCandidate]] = {}
    for one in rejected:
        groups.setdefault((one.stage, one.strategy, one.reason), []).append(one)
    return tuple(
        ShownExample(
            strategy=one.strategy,
            query=beginning(one.query, redactor),
            response=None if one.response is None else beginning(one.response, redactor),
            reason=one.reason,
            weak=one.weak,
        )
        for one in _by_turns(list(groups.values()))[:count]
    )


def _by_turns(groups: Sequence[Sequence[T]]) -> list[T]:
    """Return the first of each group, then the second of each, and so on."""
    rounds = zip_longest(*([(one,) for one in group] for group in groups))
    return [one[0] for some in rounds for one in some if one is not None]


# --- models and training --------------------------------------------------------------------------------------------


def measured_model(role: str, name: str, reference: str | None, measured: Measured) -> MeasuredModel:
    """Tell what was measured of a model.

    Args:
        role: ``base``, ``in_use`` or ``tuned``.
        name: What it is called.
        reference: ``NAME@VERSION``; ``None`` for a model that is not in the registry.
        measured: What was measured.

    Returns:
        The model with its figures.
    """
    return MeasuredModel.model_validate(
        {
            "role": role,
            "name": name,
            "reference": reference,
            "model_id": measured.held_out.model_id,
            "figures": estimates_of(measured.held_out),
            "general": estimates_of(measured.general),
        }
    )


def training_account(metrics: FineTuningMetrics, config: FineTuningConfig) -> TrainingAccount:
    """Tell how the model was trained, as far as it is the same on every machine.

    Args:
        metrics: What the training tells of itself.
        config: What it was told.

    Returns:
        The account.
    """
    metric = config.validation_metric
    return TrainingAccount(
        strategy=config.strategy,
        metric=metric,
        epochs=len(metrics.epochs),
        steps=metrics.total_steps,
        best_step=metrics.best_step,
        losses=tuple(LossPoint(step=one.step, loss=one.loss, learning_rate=one.learning_rate) for one in metrics.steps),
        validation=tuple(
            ValidationPoint(step=one.step, value=one.figures[metric])
            for one in metrics.evaluations
            if metric in one.figures
        ),
        choices=tuple(one for one in metrics.choices if one.name in _SAME_EVERYWHERE),
    )


# --- the whole ------------------------------------------------------------------------------------------------------


def tell_too_little(
    frame: ReportFrame, data: DataAccount, least: tuple[int, int], notes: Sequence[str]
) -> LearningReport:
    """Tell that nothing was trained.

    Args:
        frame: The run.
        data: What was made of the sources, and what is missing.
        least: The least training pairs, and the least held-out questions.
        notes: What else is to be known.

    Returns:
        The report.
    """
    questions = 0 if data.held_out is None else data.held_out.questions
    missing = [
        f"{lacking:,} of at least {wanted:,} {what} are missing (there are {found:,})"
        for what, lacking, wanted, found in (
            ("training pairs", data.missing_pairs, least[0], data.training_pairs),
            ("held-out questions", data.missing_questions, least[1], questions),
        )
        if lacking
    ]
    return _report(
        frame,
        data,
        outcome="too_little_data",
        sentence=f"Too little data, nothing was trained: {', and '.join(missing)}.",
        notes=tuple(notes),
    )


def tell_outcome(
    frame: ReportFrame,
    data: DataAccount,
    models: tuple[MeasuredModel, ...],
    trained: Trained,
    verdict: Verdict,
    *,
    promoted: bool,
    in_settings: bool,
    notes: Sequence[str],
) -> LearningReport:
    """Tell what became of the tuned model.

    Args:
        frame: The run.
        data: What was made of the sources.
        models: What was measured; the tuned model, which is in the registry, last, behind the one in use.
        trained: The training.
        verdict: What the gate has said.
        promoted: Whether it was put in production.
        in_settings: Whether the settings name the model in the registry already.
        notes: What else is to be known.

    Returns:
        The report.
    """
    before, tuned = models[-2:]
    line = f'embedding.model_name = "registry:{frame.name}"'
    return _report(
        frame,
        data,
        outcome="promoted" if promoted else "kept",
        sentence=_sentence(before.name, tuned.name, verdict.decision, promoted=promoted),
        models=models,
        training=training_account(trained.metrics, trained.config),
        decision=verdict.decision,
        won=verdict.won,
        lost=verdict.lost,
        lineage={kind: len(ids) for kind, ids in sorted(trained.metrics.data.lineage.items())},
        version=tuned.reference,
        next_step=line if promoted and not in_settings else None,
        packages=dict(trained.packages),
        notes=tuple(notes),
    )


def _sentence(before: str, tuned: str, decision: Decision, *, promoted: bool) -> str:
    """Return the verdict in a sentence; the reasons of the decision have the rest."""
    target, general = decision.target, decision.general
    rise = f"{_course(target)}, one-sided p = {target.p_better:.4f}"
    if promoted:
        return f"{tuned} is in production, for it is better than {before}: {rise}."
    if target.difference > 0 and target.p_better <= decision.alpha and general is not None:
        return f"{before} stays in use, for {tuned} has forgotten too much: in the general check, {_course(general)}."
    return f"{before} stays in use, for {tuned} is not better beyond chance: {rise}."


def _course(compared: ComparisonSummary) -> str:
    return (
        f"{compared.figure} went from {compared.base:.3f} to {compared.tuned:.3f} on {compared.questions:,} questions"
    )


def _report(frame: ReportFrame, data: DataAccount, **fields: object) -> LearningReport:
    return LearningReport.model_validate(
        {
            "name": frame.name,
            "run_id": frame.run_id,
            "data": data,
            "settings": frame.settings,
            "settings_hash": frame.settings_hash,
            "seed": frame.seed,
            **fields,
        }
    )
