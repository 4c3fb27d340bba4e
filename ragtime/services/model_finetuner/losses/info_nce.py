"""The loss for data that say what answers: each query against the texts of the whole batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.losses.base import LossBatch, LossResult
from ragtime.services.model_finetuner.losses.similarity import batch_cosines, weighted_mean
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

__all__ = ["InfoNCE", "check_temperature"]

_ROUNDING = 1e-6  # of cosines: two texts of one embedding, cut to the same tokens for one, score the same


class InfoNCE:
    """InfoNCE (van den Oord et al. 2018, arXiv:1807.03748) with in-batch negatives and hard negatives.

    The loss of a row is the cross-entropy of finding its response among all candidates of the batch, by cosines divided
    by the temperature. Left out of it are candidates that are known to be no negatives (``batch.excluded``) and, on
    request, those of other rows that the model itself finds too close to the query: with a margin *m*, those whose
    cosine is at least that of the response minus *m*, but for rounding. It is the rule TopK-MarginPos of NV-Retriever
    (Moreira et al. 2024, arXiv:2407.15831), asked anew in each batch. A row's own hard negatives are never left out by
    it: the data say that they are negatives. What is left out gets no gradient; a row without any negative has the
    loss 0.

    Counts: ``candidates``, the texts beside the response that queries were to be compared with, all queries together;
    of these ``excluded_known`` and ``excluded_margin`` were left out.
    """

    name = "info_nce"

    def __init__(self, *, temperature: float = 0.05, false_negative_margin: float | None = None) -> None:
        """Set the loss up.

        Args:
            temperature: What cosines are divided by, above 0.
            false_negative_margin: The margin, -1 to 1; ``None`` leaves out what is known only.

        Raises:
            InvalidArgumentError: A number is out of its range.
        """
        check_temperature(temperature)
        if false_negative_margin is not None and not -1.0 <= false_negative_margin <= 1.0:
            raise InvalidArgumentError(
                f"false_negative_margin must be from -1 to 1, or None; found {false_negative_margin}"
            )
        self.temperature = temperature
        self.false_negative_margin = false_negative_margin

    def __call__(self, embeddings: Tensor, batch: LossBatch) -> LossResult:
        """Compute the loss; see :class:`~ragtime.services.model_finetuner.losses.base.EmbeddingLoss`."""
        cosines = batch_cosines(embeddings, batch.positions)
        there = batch.positions[:, 1:].T.reshape(-1) >= 0
        known = batch.excluded.clone().fill_diagonal_(False)  # noqa: FBT003 - the row's own response always stays
        left_out = known | ~there
        doubtful = self._too_close(cosines.detach()) & ~left_out
        # A row that is left with its response alone gives log(exp(s)) - s = 0, with a gradient of 0.
        logits = (cosines / self.temperature).masked_fill(left_out | doubtful, -math.inf)
        losses = logits.logsumexp(1) - logits.diagonal()
        rows = len(losses)
        counts = torch.stack([there.sum() * rows - rows, (known & there).sum(), doubtful.sum()]).tolist()  # one wait
        names = ("candidates", "excluded_known", "excluded_margin")
        return LossResult(weighted_mean(losses, batch.weights), dict(zip(names, counts, strict=True)))

    def _too_close(self, cosines: Tensor) -> Tensor:
        """Tell which candidates of other rows score higher than the margin allows."""
        if self.false_negative_margin is None:
            return torch.zeros_like(cosines, dtype=torch.bool)
        rows, candidates = cosines.shape
        own = torch.eye(rows, dtype=torch.bool, device=cosines.device).repeat(1, candidates // max(rows, 1))
        return (cosines > cosines.diagonal()[:, None] - (self.false_negative_margin + _ROUNDING)) & ~own


def check_temperature(temperature: float) -> None:
    """Check what similarities are to be divided by.

    Args:
        temperature: The number.

    Raises:
        InvalidArgumentError: It is not above 0, or not finite.
    """
    if not 0.0 < temperature < math.inf:
        raise InvalidArgumentError(f"temperature must be a finite number above 0, found {temperature}")
