"""What the old fine-tuning module passed around: its configuration, its figures, and its examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ragtime.config.settings import Settings
from ragtime.migration.deprecation import deprecated_class
from ragtime.services.model_finetuner import FineTuningConfig as NewFineTuningConfig
from ragtime.services.model_finetuner import FineTuningMetrics

__all__ = ["LOSSES", "FineTuningConfig", "InputExample", "TrainingMetrics", "training_history"]

LOSSES: Mapping[str, Literal["auto", "info_nce", "contrastive"]] = {
    "CosineSimilarityLoss": "auto",
    "TripletLoss": "info_nce",
    "MultipleNegativesRankingLoss": "info_nce",
    "ContrastiveLoss": "contrastive",
}
"""The losses of the old module, and what trains in their place; a name that is not here means the first."""

_NEVER = 2**31  # evaluations without improvement, which no run reaches


@deprecated_class("model_finetuner")
@dataclass
class FineTuningConfig:
    """What a training run is told, as the old module took it; attributes can be set until a run begins.

    Attributes:
        base_model_name: The model to start from.
        output_model_path: The folder of the models.
        batch_size: Pairs per batch.
        num_epochs: Passes over the training data.
        learning_rate: Peak learning rate.
        warmup_steps: Steps in which the learning rate rises, at most a tenth of the run.
        evaluation_steps: Steps between evaluations; one is made at least once an epoch.
        save_steps: Steps between checkpoints; under 1 means at evaluations.
        max_seq_length: Longest text, in tokens; never more than the model has positions for.
        loss_function: The loss by its old name; see `LOSSES`.
        use_amp: Whether passes are computed in the precision that the device is fast at; else in float32.
        early_stopping_patience: Evaluations without improvement before training stops; under 1 means never.
        validation_split: Share of the data that ``load_training_data`` holds out.
        random_seed: Seed of the run, and of what is held out.
    """

    base_model_name: str = "all-MiniLM-L6-v2"
    output_model_path: str = "./fine_tuned_models"
    batch_size: int = 16
    num_epochs: int = 4
    learning_rate: float = 2e-5
    warmup_steps: int = 100
    evaluation_steps: int = 500
    save_steps: int = 500
    max_seq_length: int = 512
    loss_function: str = "CosineSimilarityLoss"
    use_amp: bool = True
    early_stopping_patience: int = 3
    validation_split: float = 0.2
    random_seed: int = 42

    def resolved(self, settings: Settings | None = None) -> NewFineTuningConfig:
        """Return the same in the form that runs take now; the new tuner asks any config for it.

        Args:
            settings: Tell what the old module had no words for; ``None`` means the current settings.

        Returns:
            The new config, with every field filled in.

        Raises:
            pydantic.ValidationError: An attribute has a value that no run can have.
        """
        return NewFineTuningConfig(
            base_model_name=self.base_model_name,
            output_dir=Path(self.output_model_path),
            batch_size=self.batch_size,
            num_epochs=self.num_epochs,
            learning_rate=self.learning_rate,
            warmup_steps=self.warmup_steps,
            evaluation_steps=_steps(self.evaluation_steps),
            save_steps=_steps(self.save_steps),
            max_seq_length=self.max_seq_length,
            loss_function=LOSSES.get(self.loss_function, "auto"),
            precision="auto" if self.use_amp else "float32",
            early_stopping_patience=_steps(self.early_stopping_patience) or _NEVER,
            validation_split=self.validation_split,
            random_seed=self.random_seed,
        ).resolved(settings)


def _steps(number: int) -> int | None:
    """Return a number of steps; ``None`` when it is none."""
    return number if number >= 1 else None


@deprecated_class("model_finetuner")
@dataclass
class TrainingMetrics:
    """What an epoch measured, as the old module told it.

    Attributes:
        epoch: Its number, from 1.
        train_loss: Mean loss of its steps.
        eval_loss: Loss of the validation data; ``None`` unless that chooses the best step.
        eval_cosine_accuracy: Share of the validation queries that find an answer first, by cosine; ``None`` without
            validation data.
        eval_manhattan_accuracy: The same by Manhattan distance; ``None``: ragtime compares by cosine.
        eval_euclidean_accuracy: The same by Euclidean distance; ``None``, likewise.
        timestamp: When this was written down, ISO 8601 in local time; ``None`` when nobody says.
    """

    epoch: int
    train_loss: float
    eval_loss: float | None = None
    eval_cosine_accuracy: float | None = None
    eval_manhattan_accuracy: float | None = None
    eval_euclidean_accuracy: float | None = None
    timestamp: str | None = None


for _known in (FineTuningConfig, TrainingMetrics):  # where they are imported from, and pickled by
    _known.__module__ = "model_finetuner_compat"


@dataclass
class InputExample:
    """A labelled pair of texts, with the attributes that sentence-transformers gave the class of this name.

    Attributes:
        guid: An id; not used.
        texts: Query and document; documents behind them are ones that do not answer.
        label: How well the document answers, 0 to 1.
    """

    guid: str = ""
    texts: list[str] = field(default_factory=list)
    label: float = 0.0


def training_history(metrics: FineTuningMetrics, timestamp: str) -> list[TrainingMetrics]:
    """Tell the epochs of a run as the old module did.

    Args:
        metrics: What came out of the run.
        timestamp: When it ended.

    Returns:
        One entry an epoch, with the last evaluation in it.
    """
    history, end = [], 0
    for epoch in metrics.epochs:
        begin, end = end, end + epoch.steps
        measured: Mapping[str, Any] = next(
            (record.figures for record in reversed(metrics.evaluations) if begin < record.step <= end), {}
        )
        history.append(
            TrainingMetrics(
                epoch=epoch.epoch,
                train_loss=epoch.loss,
                eval_loss=measured.get("loss"),
                eval_cosine_accuracy=measured.get("accuracy@1"),
                timestamp=timestamp,
            )
        )
    return history
