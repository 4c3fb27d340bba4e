"""The losses for data that a teacher has scored: the model is to find the candidates as different as the teacher does.

Both compare a row's query with the row's own texts only, by cosines. A text without a score is left out; a row that
has nothing left to compare has the loss 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ragtime.services.model_finetuner.losses.base import LossBatch, LossResult
from ragtime.services.model_finetuner.losses.info_nce import check_temperature
from ragtime.services.model_finetuner.losses.similarity import needed, row_cosines, weighted_mean
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

__all__ = ["KLDivergence", "MarginMSE"]

_WIDEST_MARGIN = 2.0  # between two cosines


class MarginMSE:
    """MarginMSE (Hofstätter et al. 2020, arXiv:2010.02666): the teacher's margins are to be those of the cosines.

    The loss of a row is the mean over its negatives of ``((s_response - s_negative) - (t_response - t_negative))**2``,
    with cosines *s* and scores *t*. The scores are taken as they are and should lie in a range as wide as that of
    cosines, such as -1 to 1 or 0 to 1: bring logits there first, or use :class:`KLDivergence`.

    Counts: ``margins``, negatives that were compared; of these ``unreachable_margins`` are asked to differ from the
    response by more than 2, which cosines cannot.
    """

    name = "margin_mse"

    def __call__(self, embeddings: Tensor, batch: LossBatch) -> LossResult:
        """Compute the loss; see :class:`~ragtime.services.model_finetuner.losses.base.EmbeddingLoss`."""
        scores = needed(batch.scores, "scores", self.name)
        cosines = row_cosines(embeddings, batch.positions)
        scored = _scored(scores, batch.positions)
        compared = scored[:, 1:] & scored[:, :1]
        wanted = (scores[:, :1] - scores[:, 1:]).to(cosines.dtype)
        errors = (cosines[:, :1] - cosines[:, 1:] - wanted).masked_fill(~compared, 0.0)
        losses = errors.square().sum(1) / compared.sum(1).clamp_min(1)
        unreachable = compared & (wanted.abs() > _WIDEST_MARGIN)
        margins, beyond = torch.stack([compared.sum(), unreachable.sum()]).tolist()
        return LossResult(weighted_mean(losses, batch.weights), {"margins": margins, "unreachable_margins": beyond})


class KLDivergence:
    """Distillation by listwise distributions (Lin et al. 2020, arXiv:2010.11386).

    The loss of a row is the Kullback-Leibler divergence of the softmax of the teacher's scores from that of the cosines
    of the same texts, each divided by its temperature. It is not multiplied by the square of the temperature, as is
    done where it stands beside a loss of another temperature: here it is the only one, and its gradients are as
    long as those of :class:`~ragtime.services.model_finetuner.losses.info_nce.InfoNCE`.

    Counts: ``scored``, texts that were compared; of these ``underflowed`` got the probability 0 from the teacher, so
    that how it ranks them is lost: the teacher's temperature is too low for scores that lie so far apart.
    """

    name = "kl_divergence"

    def __init__(self, *, temperature: float = 0.05, teacher_temperature: float | None = None) -> None:
        """Set the loss up.

        Args:
            temperature: What cosines are divided by, above 0.
            teacher_temperature: What the teacher's scores are divided by, above 0: 1 for logits; ``None`` takes
                `temperature`, as suits scores that are cosines or lie in a range as wide.

        Raises:
            InvalidArgumentError: One of them is not above 0.
        """
        self.temperature = temperature
        self.teacher_temperature = temperature if teacher_temperature is None else teacher_temperature
        check_temperature(self.temperature)
        check_temperature(self.teacher_temperature)

    def __call__(self, embeddings: Tensor, batch: LossBatch) -> LossResult:
        """Compute the loss; see :class:`~ragtime.services.model_finetuner.losses.base.EmbeddingLoss`."""
        scores = needed(batch.scores, "scores", self.name)
        cosines = row_cosines(embeddings, batch.positions)
        scored = _scored(scores, batch.positions)
        # The softmax of nothing is nan. A row without scores keeps its response: one text, and a divergence of 0.
        kept = scored.clone()
        kept[:, 0] |= ~scored.any(1)
        known = scores.masked_fill(scores.isnan(), 0.0).to(cosines.dtype)
        teacher = (known / self.teacher_temperature).masked_fill(~kept, -math.inf).softmax(1)
        student = (cosines / self.temperature).masked_fill(~kept, -math.inf).log_softmax(1)
        # 0 * log(0) of the texts that are left out would be nan.
        losses = functional.kl_div(student.masked_fill(~kept, 0.0), teacher, reduction="none").sum(1)
        total, lost = torch.stack([scored.sum(), (scored & (teacher == 0)).sum()]).tolist()
        return LossResult(weighted_mean(losses, batch.weights), {"scored": total, "underflowed": lost})


def _scored(scores: Tensor, positions: Tensor) -> Tensor:
    """Tell which cells hold a text and a score."""
    return (positions[:, 1:] >= 0) & ~scores.isnan()
