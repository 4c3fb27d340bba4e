"""Training of the model's own weights, all of them or the upper ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.strategies.structure import (
    LayerStack,
    parameters_before,
    parameters_in_use,
    transformer_of,
)
from ragtime.services.model_finetuner.strategies.weights import TrainsWeights

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["Full", "freeze_lower_layers"]


class Full(TrainsWeights):
    """Trains all weights that the embeddings depend on, but for those of the frozen layers.

    Attributes:
        name: ``full``.
    """

    name = "full"

    def __init__(self, config: FineTuningConfig) -> None:
        """Prepare the strategy.

        Args:
            config: Its `frozen_layers` counts.
        """
        self._frozen_layers = config.frozen_layers

    def prepare(self, model: SentenceTransformer) -> SentenceTransformer:
        """Freeze the lower layers, and what the embeddings do not depend on.

        Args:
            model: The base model; which of its weights need gradients is changed in place.

        Returns:
            The same model.

        Raises:
            FineTuningError: The model has no layers that could be frozen, or nothing is left to train.
            InvalidArgumentError: It has fewer layers than are to be frozen.
        """
        freeze_lower_layers(model, self._frozen_layers)
        return model

    def frozen_depth(self, model: SentenceTransformer) -> int | None:  # noqa: ARG002 - the config tells
        """Return the number of frozen layers, -1 when nothing is frozen."""
        return -1 if self._frozen_layers is None else self._frozen_layers

    def finished(self, model: SentenceTransformer) -> SentenceTransformer:
        """Return the model in evaluation mode."""
        return model.eval()


def freeze_lower_layers(model: SentenceTransformer, frozen_layers: int | None) -> None:
    """Let those weights need gradients that are to be trained, and no others.

    Args:
        model: The model.
        frozen_layers: How many of the lowest layers stay as they are, together with the embeddings below them and all
            else that has a part in what comes out of them; ``None`` means to freeze nothing.

    Raises:
        FineTuningError: The model has no layers that could be frozen, or nothing is left to train.
        InvalidArgumentError: It has fewer layers than are to be frozen.
    """
    model.requires_grad_(requires_grad=True)
    trained = parameters_in_use(model)
    if frozen_layers is not None:
        stack = LayerStack.of(transformer_of(model))
        if frozen_layers > len(stack.layers):
            raise InvalidArgumentError(
                f"frozen_layers must be at most {len(stack.layers)}, the number of layers of this model; found "
                f"{frozen_layers}"
            )
        trained -= parameters_before(model, stack, frozen_layers)
    if not trained:
        raise FineTuningError(
            "Nothing is left to train: the embeddings depend on no weight outside the frozen layers; lower "
            f"frozen_layers, now {frozen_layers}"
        )
    for name, weight in model.named_parameters():
        weight.requires_grad = name in trained
