"""Quantization-aware training: the model is trained with the rounding that it will be served with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.strategies.full import freeze_lower_layers
from ragtime.services.model_finetuner.strategies.quantized_models import fake_quantize, to_plain
from ragtime.services.model_finetuner.strategies.weights import TrainsWeights

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["Quantized"]


class Quantized(TrainsWeights):
    """Trains as ``full`` does, with int8 weights and 8-bit activations in attention and feed-forward networks.

    The weights that are trained stay float32 and are rounded in every pass, see
    :mod:`ragtime.services.model_finetuner.strategies.fake_quant`. The layers that are frozen are rounded, too.

    Attributes:
        name: ``quantized``.
    """

    name = "quantized"

    def __init__(self, config: FineTuningConfig) -> None:
        """Prepare the strategy.

        Args:
            config: Its `frozen_layers` counts.
        """
        self._frozen_layers = config.frozen_layers

    def prepare(self, model: SentenceTransformer) -> SentenceTransformer:
        """Put the rounding in, and freeze the lower layers and what the embeddings do not depend on.

        Args:
            model: The base model, with float32 weights; it is changed in place.

        Returns:
            The same model; its embeddings differ from those before by rounding.

        Raises:
            FineTuningError: The model has no linear layers, is quantized already, or nothing is left to train.
            InvalidArgumentError: It has fewer layers than are to be frozen.
        """
        fake_quantize(model)
        freeze_lower_layers(model, self._frozen_layers)
        return model

    def frozen_depth(self, model: SentenceTransformer) -> int | None:  # noqa: ARG002 - the config tells
        """Return the number of frozen layers, -1 when nothing is frozen."""
        return -1 if self._frozen_layers is None else self._frozen_layers

    def finished(self, model: SentenceTransformer) -> SentenceTransformer:
        """Return a copy of plain modules with the rounded weights.

        Unlike what other strategies give, its embeddings are not those of training, where activations were rounded,
        too: ``rounding_difference`` measures how far they are. ``save_int8`` keeps a model that gives the same ones.

        Args:
            model: The trained model; it stays as it is.

        Returns:
            The copy, in evaluation mode.

        Raises:
            FineTuningError: The model was not prepared by this strategy.
        """
        return to_plain(model)
