"""What a run of the loop is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragtime.config.settings import Settings
from ragtime.services.learning.held_out import HeldOut
from ragtime.services.learning.telling import ReportFrame
from ragtime.services.model_finetuner import EvaluationData, FineTuningConfig, Gate
from ragtime.services.model_finetuner.training import ModelLoader
from ragtime.storage.registry import ModelRegistry

__all__ = ["RunTask"]


@dataclass(frozen=True)
class RunTask:
    """What a run is told.

    Attributes:
        frame: What its report says in any case.
        settings: The settings.
        config: What the training is told, resolved.
        gate: The conditions of a promotion.
        mix: How examples are made.
        evaluation: Held-out questions that were given; ``None`` for a part of the data.
        general: The questions of the general check.
        registry: Where the tuned model goes.
        model_loader: Gives the base model; ``None`` for one that is found by its name.
    """

    frame: ReportFrame
    settings: Settings
    config: FineTuningConfig
    gate: Gate
    mix: Mapping[str, int | None]
    evaluation: HeldOut | None
    general: EvaluationData
    registry: ModelRegistry
    model_loader: ModelLoader | None

    @property
    def name(self) -> str:
        """What the model is called in the registry."""
        return self.frame.name

    @property
    def run_id(self) -> str:
        """The run."""
        return self.frame.run_id
