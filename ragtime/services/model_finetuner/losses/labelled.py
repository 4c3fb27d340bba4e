"""The losses for pairs of texts that come with a label: how similar they are, or whether they belong together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.losses.base import LossBatch, LossResult
from ragtime.services.model_finetuner.losses.info_nce import check_temperature
from ragtime.services.model_finetuner.losses.similarity import needed, row_cosines, weighted_mean
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

__all__ = ["CoSENT", "Contrastive"]


class CoSENT:
    """CoSENT (Huang et al. 2024, doi:10.1109/TASLP.2024.3402087): rows with higher labels are to be more similar.

    With the cosine *s* of a row's query and response, and the temperature *T*, the loss is ``log(1 + sum(w_i * w_j *
    exp((s_j - s_i) / T)))`` over all pairs of rows with ``label_i > label_j``. The weights *w* are the rows', divided
    by their mean in the batch: a row of twice the weight has all its comparisons counted twice. It is one
    number of the batch and no mean over its rows: it grows with the number of comparisons. Only the order of the
    labels counts. Where all labels are equal, there is nothing to compare, and the loss is 0.

    Counts: ``comparisons``, pairs of rows whose labels differ.
    """

    name = "cosent"

    def __init__(self, *, temperature: float = 0.05) -> None:
        """Set the loss up.

        Args:
            temperature: What differences of cosines are divided by, above 0.

        Raises:
            InvalidArgumentError: It is not above 0.
        """
        check_temperature(temperature)
        self.temperature = temperature

    def __call__(self, embeddings: Tensor, batch: LossBatch) -> LossResult:
        """Compute the loss; see :class:`~ragtime.services.model_finetuner.losses.base.EmbeddingLoss`."""
        labels = needed(batch.labels, "labels", self.name)
        cosines = row_cosines(embeddings, batch.positions[:, :2])[:, 0]
        higher = labels[:, None] > labels[None, :]
        weights = (batch.weights / batch.weights.mean()).to(cosines.dtype).log()
        exponents = (cosines[None, :] - cosines[:, None]) / self.temperature + weights[:, None] + weights[None, :]
        one = cosines.new_zeros(1)  # exp(0); without comparisons it is all there is, and the logarithm is 0
        terms = torch.cat([one, exponents.masked_fill(~higher, -math.inf).reshape(-1)])
        return LossResult(terms.logsumexp(0), {"comparisons": int(higher.sum())})


class Contrastive:
    """Contrastive loss (Hadsell, Chopra and LeCun 2006, doi:10.1109/CVPR.2006.100) on cosine distances.

    With the distance *d*, 1 minus the cosine, and the label *y*, the loss of a row is ``(y * d**2 + (1 - y) * max(0,
    margin - d)**2) / 2``: texts that belong together (1) are drawn together, and those that do not (0) are pushed apart
    until they are as far as the margin. A label between them weighs the two, and so asks for the distance ``(1 - y) *
    margin``.

    Counts: ``separated``, rows of label 0 that are as far apart as they have to be, and teach nothing any more.
    """

    name = "contrastive"

    def __init__(self, *, margin: float = 0.5) -> None:
        """Set the loss up.

        Args:
            margin: Cosine distance that is far enough, above 0, at most 2.

        Raises:
            InvalidArgumentError: It is out of that range.
        """
        if not 0.0 < margin <= 2.0:  # noqa: PLR2004 - the longest cosine distance
            raise InvalidArgumentError(f"margin must be a cosine distance above 0, at most 2; found {margin}")
        self.margin = margin

    def __call__(self, embeddings: Tensor, batch: LossBatch) -> LossResult:
        """Compute the loss; see :class:`~ragtime.services.model_finetuner.losses.base.EmbeddingLoss`."""
        labels = needed(batch.labels, "labels", self.name)
        distances = 1.0 - row_cosines(embeddings, batch.positions[:, :2])[:, 0]
        together, missing = labels.to(distances.dtype), (self.margin - distances).relu()
        losses = (together * distances.square() + (1.0 - together) * missing.square()) / 2
        separated = int(((labels == 0) & (missing == 0)).sum())
        return LossResult(weighted_mean(losses, batch.weights), {"separated": separated})
