"""Losses: functions of the embeddings of a batch, chosen by what the data say.

loss, reason = make_loss(FineTuningConfig(), "triplets", dimension=384, negatives=1)
batch = LossBatch(positions, excluded, weights)  # rows, cells and texts, as in ragtime's planning
result = loss(embeddings, batch)  # embeddings: each distinct text of the batch once
result.loss.backward()
result.counts  # {'candidates': 8128, 'excluded_known': 12, 'excluded_margin': 0}
"""

from __future__ import annotations

from ragtime.services.model_finetuner.losses.base import EmbeddingLoss, LossBatch, LossResult
from ragtime.services.model_finetuner.losses.choice import make_loss
from ragtime.services.model_finetuner.losses.distillation import KLDivergence, MarginMSE
from ragtime.services.model_finetuner.losses.info_nce import InfoNCE
from ragtime.services.model_finetuner.losses.labelled import Contrastive, CoSENT
from ragtime.services.model_finetuner.losses.matryoshka import Matryoshka

__all__ = [
    "CoSENT",
    "Contrastive",
    "EmbeddingLoss",
    "InfoNCE",
    "KLDivergence",
    "LossBatch",
    "LossResult",
    "MarginMSE",
    "Matryoshka",
    "make_loss",
]
