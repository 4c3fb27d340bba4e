"""The end of a run: the best weights, what is told of it, and the folder of the tuned model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ragtime.errors import FineTuningError
from ragtime.services.model_finetuner.comparison.interpolation import InterpolationSearch
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.metrics import Choice, FineTuningMetrics, TrainingDataSummary
from ragtime.services.model_finetuner.saving import save_model
from ragtime.services.model_finetuner.saving.int8 import save_int8
from ragtime.services.model_finetuner.strategies.quantized_models import rounding_difference, to_plain
from ragtime.services.model_finetuner.training.base import UNTOUCHED, package_versions
from ragtime.services.model_finetuner.training.folder import RunFolder, int8_place
from ragtime.services.model_finetuner.training.history import epochs_of
from ragtime.services.model_finetuner.training.loop import LoopEnd, LoopParts, TrainingLoop
from ragtime.services.model_finetuner.training.prepared import PreparedData
from ragtime.services.model_finetuner.training.resources import peak_device_bytes, peak_host_bytes

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from ragtime.services.model_finetuner.forward import TokenizedTexts

__all__ = ["keep_best", "save_result", "summarize"]


def keep_best(parts: LoopParts, end: LoopEnd) -> int:
    """Put the best weights into the model.

    Args:
        parts: The parts of the loop.
        end: How it ended.

    Returns:
        The step that they are of: without validation the last one.

    Raises:
        FineTuningError: None of the checkpoints was validated.
        StorageError: The checkpoint of the best step is damaged.
    """
    if parts.evaluation is None:
        return end.steps
    best = parts.store.best()
    if best is None:
        raise FineTuningError(f"None of the checkpoints in '{parts.store.folder}' was validated")
    parts.strategy.load_state(parts.model, cast("Any", parts.store.load(best.path).parts["model"]))
    return best.step


def summarize(
    loop: TrainingLoop, parts: LoopParts, end: LoopEnd, *, best: int, data: PreparedData, texts: TokenizedTexts
) -> dict[str, Any]:
    """Put together what a run tells of itself.

    Args:
        loop: The loop that has ended.
        parts: Its parts.
        end: How it ended.
        best: The step whose weights were kept.
        data: The rows.
        texts: Their texts.

    Returns:
        Fields of ``FineTuningMetrics``.
    """
    history = parts.history
    epochs = epochs_of(history.steps)
    last = epochs[-1].loss if epochs else loop.last_loss  # where the history was lost, there is that of the last step
    figures = {record.step: record.figures for record in history.evaluations}
    return {
        "loss": last,
        "validation": figures.get(best, {}),
        "baseline": figures.get(0, {}),
        "best_step": best,
        "total_steps": end.steps,
        "planned_steps": loop.steps,
        "stopped_early": end.stopped_early,
        "steps": tuple(history.steps),
        "epochs": tuple(epochs),
        "evaluations": tuple(history.evaluations),
        "data": TrainingDataSummary(
            shape=data.read.shape,
            training_rows=len(data.training),
            validation_rows=len(data.validation),
            distinct_texts=len(texts),
            truncated_texts=texts.truncated,
            dropped=data.read.dropped,
            fingerprint=data.read.fingerprint,
            dataset_ids=data.read.dataset_ids,
            lineage=data.read.lineage,
        ),
        "trained_parameters": sum(weight.numel() for weight in parts.parameters.values()),
        "parameters": sum(weight.numel() for weight in parts.model.parameters()),
        "seconds": sum(step.seconds for step in history.steps) + sum(one.seconds for one in history.evaluations),
        "peak_host_bytes": peak_host_bytes(),
        "peak_device_bytes": peak_device_bytes(parts.model.device),
        "gpu_utilisation": loop.utilisation.mean,
    }


def save_result(
    config: FineTuningConfig,
    folder: RunFolder,
    parts: LoopParts,
    finished: SentenceTransformer,
    fields: dict[str, Any],
    choices: Sequence[Choice],
    *,
    output_dir: Path,
) -> FineTuningMetrics:
    """Save the tuned model, and after it that the run has ended.

    Args:
        config: What the run was told, resolved.
        folder: The folder of the run.
        parts: The parts of its loop.
        finished: The model that their strategy has finished, which is saved.
        fields: What :func:`summarize` gave.
        choices: What the run has chosen.
        output_dir: The folder of the models.

    Returns:
        What came out.

    Raises:
        FineTuningError: What was written does not give the embeddings of the model.
        StorageError: The folder cannot be written.
    """
    base = str(config.base_model_name).rstrip("/").rpartition("/")[2].replace(":", "-")  # of a path, the last part
    place = folder.model_place(output_dir, f"{base}-{config.strategy}")
    data: TrainingDataSummary = fields["data"]
    search: InterpolationSearch | None = fields["interpolation"]
    about: dict[str, Any] = {  # the same for the same run: no times, no paths
        "base_model": config.base_model_name,
        "config": config.model_dump(mode="json", exclude=set(UNTOUCHED)),
        "data": data.model_dump(mode="json"),
        "best_step": fields["best_step"],
        "baseline": dict(fields["baseline"]),
        "validation": dict(fields["validation"]),
        "interpolation": None if search is None else search.model_dump(mode="json"),
        "packages": package_versions(),
    }
    if config.strategy == "quantized":
        fields["rounding_difference"] = rounding_difference(parts.model, to_plain(parts.model)).largest
        about["rounding_difference"] = fields["rounding_difference"]
        fields["int8_path"] = int8_place(place)
        save_int8(parts.model, fields["int8_path"], metadata=about)
    save_model(finished, place, metadata=about)
    metrics = FineTuningMetrics(model_path=place, run_path=folder.path, choices=tuple(choices), **fields)
    folder.keep_result(metrics)
    folder.forget_what_is_spent()
    return metrics
