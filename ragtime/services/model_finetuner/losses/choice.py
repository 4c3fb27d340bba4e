"""Which loss suits which data."""

from __future__ import annotations

from collections.abc import Mapping

from ragtime.config.sections import FineTuningSettings
from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.dataset.rows import DataShape
from ragtime.services.model_finetuner.losses.base import EmbeddingLoss
from ragtime.services.model_finetuner.losses.distillation import KLDivergence, MarginMSE
from ragtime.services.model_finetuner.losses.info_nce import InfoNCE
from ragtime.services.model_finetuner.losses.labelled import Contrastive, CoSENT
from ragtime.services.model_finetuner.losses.matryoshka import Matryoshka, check_dimensions

__all__ = ["make_loss"]

_SHAPES: Mapping[str, tuple[DataShape, ...]] = {
    "info_nce": ("pairs", "triplets", "scored"),
    "cosent": ("graded", "rated"),
    "contrastive": ("rated", "graded"),
    "margin_mse": ("scored",),
    "kl_divergence": ("scored",),
}
"""What each loss can be computed from. InfoNCE would take a bad response for an answer, so it takes no labels."""

_CHOICES: Mapping[DataShape, tuple[str, str]] = {
    "pairs": ("info_nce", "the rows say only what answers; the other rows of a batch are the negatives"),
    "triplets": ("info_nce", "the rows say what answers and what does not"),
    "graded": ("cosent", "the rows say how similar two texts are"),
    "rated": ("contrastive", "the rows say whether a response is good or bad"),
    "scored": ("kl_divergence", "a teacher has scored several candidates of a query"),
}


def make_loss(
    config: FineTuningSettings, shape: DataShape, *, dimension: int, negatives: int | None = None
) -> tuple[EmbeddingLoss, str]:
    """Make the loss of a run, and say why it is this one.

    With ``loss_function="auto"`` the data decide: InfoNCE for pairs and triplets, CoSENT for graded pairs, contrastive
    loss for rated ones; for a teacher's scores MarginMSE where every row has one negative at most, else KL divergence.

    Args:
        config: Tells the loss, the temperature, the margin of false negatives and the Matryoshka dimensions.
        shape: What the rows say.
        dimension: Length of the model's vectors.
        negatives: The most negatives that a row has; ``None`` when that is not known.

    Returns:
        The loss, and why it is this one, for people.

    Raises:
        InvalidArgumentError: The loss that was asked for cannot be computed from such data, the vectors are to be cut
            to more than they are, or a teacher's scores have no negatives to compare.
    """
    if shape == "scored" and negatives == 0:
        raise InvalidArgumentError("A teacher's scores need at least one negative a row to compare with; found none")
    if config.loss_function == "auto":
        name, why = _CHOICES[shape]
        if shape == "scored" and negatives == 1:
            name, why = "margin_mse", "a teacher has scored two candidates of each query"
        reason = f"chosen because {why}"
    else:
        name, reason = config.loss_function, "as configured"
    if shape not in _SHAPES[name]:
        raise InvalidArgumentError(
            f"The loss {name} takes {' or '.join(_SHAPES[name])} rows, found {shape} ones; leave loss_function at "
            f"'auto' or set it to {' or '.join(other for other, shapes in _SHAPES.items() if shape in shapes)}"
        )
    loss = _named(name, config)
    if config.false_negative_margin is not None and name != "info_nce":
        reason += "; false_negative_margin has no meaning for it"
    if config.matryoshka_dimensions:
        check_dimensions(config.matryoshka_dimensions, dimension=dimension)
        lengths = sorted({dimension, *config.matryoshka_dimensions}, reverse=True)
        loss = Matryoshka(loss, lengths)
        reason += f"; its mean over vectors of the lengths {', '.join(map(str, lengths))}"
    return loss, reason


def _named(name: str, config: FineTuningSettings) -> EmbeddingLoss:
    """Make the loss of this name."""
    match name:
        case "info_nce":
            return InfoNCE(temperature=config.temperature, false_negative_margin=config.false_negative_margin)
        case "cosent":
            return CoSENT(temperature=config.temperature)
        case "contrastive":
            return Contrastive()
        case "margin_mse":
            return MarginMSE()
        case _:
            return KLDivergence(temperature=config.temperature)
