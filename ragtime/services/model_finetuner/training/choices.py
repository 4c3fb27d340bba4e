"""What a run has chosen by itself, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ragtime.services.model_finetuner.config import LEARNING_RATES, FineTuningConfig, kind_of_training
from ragtime.services.model_finetuner.evaluation import higher_is_better
from ragtime.services.model_finetuner.forward import BatchEncoder, Precision
from ragtime.services.model_finetuner.losses import EmbeddingLoss
from ragtime.services.model_finetuner.metrics import Choice, StepRecord
from ragtime.services.model_finetuner.training.schedule import Schedule

__all__ = [
    "end_choices",
    "frozen_choice",
    "loss_choice",
    "origin_choice",
    "pass_choices",
    "precision_choice",
    "rate_choices",
]


def precision_choice(config: FineTuningConfig, precision: Precision, device: str) -> Choice:
    """Tell what passes are computed in."""
    reason = "as configured" if config.precision != "auto" else f"what this {device} is fast at"
    return Choice(name="precision", value=precision, reason=reason)


def loss_choice(loss: EmbeddingLoss, reason: str) -> Choice:
    """Tell what is minimised."""
    return Choice(name="loss_function", value=loss.name, reason=reason)


def rate_choices(config: FineTuningConfig, schedule: Schedule) -> list[Choice]:
    """Tell how high the learning rate rises, and how long that takes."""
    kind = kind_of_training(config)
    usual = LEARNING_RATES[kind] == config.learning_rate
    capped = config.warmup_steps is None or schedule.warmup < config.warmup_steps
    return [
        Choice(
            name="learning_rate",
            value=f"{schedule.peak:g}",
            reason=f"the default of {kind}" if usual else "as configured",
        ),
        Choice(
            name="warmup_steps",
            value=str(schedule.warmup),
            reason=f"a tenth of the {schedule.steps} steps, the most there is" if capped else "as configured",
        ),
    ]


def frozen_choice(encoder: BatchEncoder) -> Choice:
    """Tell how often the frozen part of a model is run."""
    if encoder.frozen_once:
        return Choice(name="frozen_part", value="run once", reason="what it gives never changes, and was kept")
    reason = "to keep what it gives would not pay in one epoch, take too much room, or cannot be done with this model"
    return Choice(name="frozen_part", value="run in every step", reason=reason)


def origin_choice(run: str, step: int, changed: Collection[str]) -> Choice:
    """Tell which run this one goes on with."""
    return Choice(name="origin", value=run, reason=f"its step {step}; changed since then: {', '.join(changed)}")


def pass_choices(config: FineTuningConfig, encoder: BatchEncoder, steps: Iterable[StepRecord]) -> list[Choice]:
    """Tell how batches were divided, after the steps."""
    known = list(steps)
    passes, again = (sum(step.counts.get(name, 0) for step in known) for name in ("passes", "recomputed_passes"))
    wanted = "as configured" if config.gradient_cache != "auto" else "what memory allows"
    return [
        Choice(
            name="gradient_cache",
            value="on" if again else "off",
            reason=f"{wanted}: {again} of {passes} forward passes were computed a second time",
        ),
        Choice(
            name="pass_tokens",
            value=str(encoder.state()["max_tokens"]),
            reason="the most tokens of one forward pass: more gains no speed on this device, or needs too much memory",
        ),
    ]


def end_choices(
    config: FineTuningConfig, *, best: int, steps: int, stopped_early: bool, score: float | None
) -> list[Choice]:
    """Tell which weights were kept, and why the run has ended.

    Args:
        config: A resolved config.
        best: The step whose weights were kept.
        steps: Steps taken.
        stopped_early: Whether the validation figure had stopped to improve.
        score: The figure of the best step; ``None`` when it is not known.

    Returns:
        The choices.
    """
    metric = config.validation_metric
    told = "" if score is None else f", {score:.4g}"
    kind = "highest" if higher_is_better(metric) else "lowest"
    reason = "the last: there is no validation" if score is None and best == steps else f"the {kind} {metric}{told}"
    made = [Choice(name="best_step", value=str(best), reason=reason)]
    if stopped_early:
        patience = config.early_stopping_patience
        made.append(
            Choice(
                name="early_stopping",
                value=f"after step {steps}",
                reason=f"{metric} did not improve in {patience} evaluations",
            )
        )
    return made
