"""What a loop works with, put together from data and a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from ragtime.services.model_finetuner.comparison.data import EvaluationData
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.evaluation import Validation, higher_is_better
from ragtime.services.model_finetuner.forward import (
    BatchEncoder,
    FrozenCache,
    Precision,
    TokenizedTexts,
    prepare_encoder,
    roles_differ,
    tokenize_texts,
)
from ragtime.services.model_finetuner.losses import make_loss
from ragtime.services.model_finetuner.metrics import Choice
from ragtime.services.model_finetuner.planning import BatchPlanner, FalseNegatives, PlanOptions, TrainingRows
from ragtime.services.model_finetuner.strategies import make_strategy
from ragtime.services.model_finetuner.training.batches import BatchMaker, ValidationLoss
from ragtime.services.model_finetuner.training.choices import frozen_choice, loss_choice
from ragtime.services.model_finetuner.training.folder import RunFolder
from ragtime.services.model_finetuner.training.history import History
from ragtime.services.model_finetuner.training.loop import Evaluation, LoopParts
from ragtime.services.model_finetuner.training.optimizers import make_optimizer
from ragtime.services.model_finetuner.training.prepared import NumberedRows, PreparedData, number_rows
from ragtime.services.model_finetuner.training.processes import Processes
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
else:
    np = LazyModule("numpy")

__all__ = ["MadeParts", "Start", "make_parts"]

_MOST_HIDDEN_BYTES = 2**33  # on disk, while a run lasts


class Start(NamedTuple):
    """What there is before a run is put together.

    Attributes:
        model: The base model, made ready.
        precision: What passes are computed in.
        data: The rows.
        validation: What to measure; ``None`` when there are no rows for it.
        folder: The folder of the run.
        processes: All processes of the run.
        fingerprints: What a run that goes on must find unchanged.
        general: The general check; ``None`` when the line to the base model is not searched.
    """

    model: SentenceTransformer
    precision: Precision
    data: PreparedData
    validation: Validation | None
    folder: RunFolder
    processes: Processes
    fingerprints: Mapping[str, str]
    general: EvaluationData | None = None


class MadeParts(NamedTuple):
    """The parts of a loop, and what is told of them.

    Attributes:
        parts: The parts.
        texts: All texts of the run.
        choices: What was chosen on the way.
    """

    parts: LoopParts
    texts: TokenizedTexts
    choices: list[Choice]


def make_parts(config: FineTuningConfig, start: Start, history: History) -> MadeParts:
    """Prepare the model by its strategy, tokenize the texts, and plan the batches.

    Args:
        config: What the run was told, resolved.
        start: What there is.
        history: Takes down what happens.

    Returns:
        The parts of the loop.

    Raises:
        InvalidArgumentError: The configuration does not suit the data or the model.
        FineTuningError: The model does not suit the strategy.
    """
    strategy = make_strategy(config)
    model = strategy.prepare(start.model)
    rows = number_rows(start.data, start.validation, by_role=roles_differ(model))
    dimension = int(model.get_embedding_dimension() or 0)
    loss, reason = make_loss(config, start.data.read.shape, dimension=dimension, negatives=len(rows.columns.texts) - 2)
    choices = [loss_choice(loss, reason)]
    tokens = tokenize_texts(model, rows.texts, rows.roles)
    parameters = strategy.parameters(model)
    frozen_depth = strategy.frozen_depth(model)
    encoder = prepare_encoder(
        model,
        tokens,
        frozen_depth=frozen_depth,
        precision=start.precision,
        gradient_cache=config.gradient_cache,
        processes=start.processes.sharing,
        cache=_frozen_cache(config, start),
    )
    if frozen_depth != -1:
        choices.append(frozen_choice(encoder))
    known = TrainingRows(rows.cells, tokens.lengths)
    training = TrainingRows(rows.cells[: len(start.data.training)], tokens.lengths)
    batches = BatchMaker(known, rows.columns, FalseNegatives(known), model.device)
    parts = LoopParts(
        model=model,
        strategy=strategy,
        parameters=parameters,
        encoder=encoder,
        precision=start.precision,
        loss=loss,
        optimizer=make_optimizer(config, parameters),
        planner=BatchPlanner(training, PlanOptions(batch_size=config.batch_size), seed=cast("int", config.random_seed)),
        batches=batches,
        history=history,
        store=start.folder.store,
        fingerprints=start.fingerprints,
        processes=start.processes,
        evaluation=_evaluation(config, start, encoder, rows, ValidationLoss(loss, batches, encoder)),
    )
    return MadeParts(parts, tokens, choices)


def _frozen_cache(config: FineTuningConfig, start: Start) -> FrozenCache | None:
    """Return where the states of frozen layers are kept; they pay from the second epoch on."""
    if not config.frozen_layers or config.num_epochs == 1:
        return None
    return FrozenCache(start.folder.frozen_place(start.processes.rank), hidden_bytes=_MOST_HIDDEN_BYTES)


def _evaluation(
    config: FineTuningConfig, start: Start, encoder: BatchEncoder, rows: NumberedRows, loss: ValidationLoss
) -> Evaluation | None:
    validation = start.validation
    if validation is None:
        return None
    metric = config.validation_metric
    trained = len(start.data.training)
    held_out = np.arange(trained, trained + len(start.data.validation))

    def measure() -> Mapping[str, float]:
        figures = validation.measure(encoder.embed(rows.queries), encoder.embed(rows.passages))
        if metric == "loss":
            figures["loss"] = loss.measure(held_out, config.batch_size)
        return figures

    return Evaluation(measure, metric, higher_is_better(metric))
