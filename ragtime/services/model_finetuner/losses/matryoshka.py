"""Vectors whose first numbers are of use alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.losses.base import EmbeddingLoss, LossBatch, LossResult
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

__all__ = ["Matryoshka", "check_dimensions"]


class Matryoshka:
    """Matryoshka representation learning (Kusupati et al. 2022, arXiv:2205.13147) around another loss.

    The loss is the weighted mean of the other loss over embeddings that are cut to several lengths, each brought to
    unit length anew. As a mean, not a sum, it suits the learning rate and the longest gradient of the other loss.

    Counts: those of the greatest length.
    """

    def __init__(
        self, loss: EmbeddingLoss, dimensions: Sequence[int], *, weights: Sequence[float] | None = None
    ) -> None:
        """Wrap a loss.

        Args:
            loss: The loss of one length.
            dimensions: The lengths, the whole vector's included.
            weights: How much each length counts, above 0; ``None`` means the same for all.

        Raises:
            InvalidArgumentError: There is no length, one is under 1 or there twice, or the weights do not fit.
        """
        check_dimensions(dimensions)
        weights = [1.0] * len(dimensions) if weights is None else weights
        if len(weights) != len(dimensions) or not all(0.0 < weight < math.inf for weight in weights):
            raise InvalidArgumentError(
                f"weights must be {len(dimensions)} finite numbers above 0, one for each length; found {list(weights)}"
            )
        self.name = f"matryoshka({loss.name})"
        self.loss = loss
        # From long to short, so that equal settings add up in the same order.
        self.weights = dict(sorted(zip(dimensions, weights, strict=True), reverse=True))

    def __call__(self, embeddings: Tensor, batch: LossBatch) -> LossResult:
        """Compute the loss; see :class:`~ragtime.services.model_finetuner.losses.base.EmbeddingLoss`."""
        check_dimensions(tuple(self.weights), dimension=embeddings.shape[1])
        results = [self.loss(embeddings[:, :length], batch) for length in self.weights]
        weighted = [weight * result.loss for weight, result in zip(self.weights.values(), results, strict=True)]
        return LossResult(torch.stack(weighted).sum() / sum(self.weights.values()), results[0].counts)


def check_dimensions(dimensions: Sequence[int], *, dimension: int | None = None) -> None:
    """Check lengths that vectors are to be cut to.

    Args:
        dimensions: The lengths.
        dimension: How long the model's vectors are; ``None`` when that is not known yet.

    Raises:
        InvalidArgumentError: There is none, one is under 1 or greater than `dimension`, or there twice.
    """
    if not dimensions or min(dimensions) < 1 or len(set(dimensions)) < len(dimensions):
        raise InvalidArgumentError(
            f"Matryoshka dimensions must be at least one number, each from 1 and there once; found {list(dimensions)}"
        )
    if dimension is not None and max(dimensions) > dimension:
        raise InvalidArgumentError(
            f"Matryoshka dimensions must be at most {dimension}, the length of the model's vectors; "
            f"found {list(dimensions)}"
        )
