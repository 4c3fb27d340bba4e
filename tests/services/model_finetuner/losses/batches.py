"""Batches of a few rows, with embeddings at random, and the losses that can be computed from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ragtime.services.model_finetuner.losses import (
    Contrastive,
    CoSENT,
    EmbeddingLoss,
    InfoNCE,
    KLDivergence,
    LossBatch,
    MarginMSE,
    Matryoshka,
)

DIMENSION = 6

LOSSES: dict[str, EmbeddingLoss] = {
    "info_nce": InfoNCE(),
    "info_nce with a margin": InfoNCE(temperature=0.1, false_negative_margin=0.05),
    "cosent": CoSENT(),
    "contrastive": Contrastive(),
    "margin_mse": MarginMSE(),
    "kl_divergence": KLDivergence(temperature=0.2),
    "matryoshka": Matryoshka(InfoNCE(), (DIMENSION, 2)),
}


def embeddings_of(count: int, *, seed: int = 0, dimension: int = DIMENSION, dtype: Any = torch.float32) -> Tensor:
    """Embeddings of any length, which can be differentiated by."""
    drawn = torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return drawn.requires_grad_()


def batch_of(
    positions: Sequence[Sequence[int]] | Tensor,
    *,
    excluded: Tensor | None = None,
    weights: Sequence[float] | None = None,
    labels: Sequence[float] | None = None,
    scores: Any = None,
) -> LossBatch:
    """A batch; nothing is known about its candidates and all rows count the same unless said."""
    cells = torch.as_tensor(positions, dtype=torch.int64)
    rows, columns = cells.shape
    if excluded is None:
        excluded = (cells[:, 1:].T.reshape(-1) < 0).expand(rows, -1)
    return LossBatch(
        cells,
        excluded.reshape(rows, rows * (columns - 1)),
        torch.ones(rows) if weights is None else torch.tensor(weights, dtype=torch.float32),
        None if labels is None else torch.tensor(labels, dtype=torch.float32),
        None if scores is None else torch.as_tensor(scores, dtype=torch.float32),
    )


def any_batch(rows: int, texts: int, *, seed: int = 0) -> LossBatch:
    """A batch with two columns of negatives, holes, repeated texts, weights, labels, scores and known answers."""
    draw = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, texts, (rows, 4), generator=draw)
    cells[:, 2:][torch.rand(rows, 2, generator=draw) < 0.3] = -1
    excluded = torch.rand(rows, rows * 3, generator=draw) < 0.2
    excluded |= cells[:, 1:].T.reshape(-1) < 0
    excluded.fill_diagonal_(False)
    scores = torch.rand(rows, 3, generator=draw)
    scores[torch.rand(rows, 3, generator=draw) < 0.2] = torch.nan
    return LossBatch(
        cells,
        excluded,
        torch.rand(rows, generator=draw) + 0.5,
        torch.randint(0, 3, (rows,), generator=draw) / 2,
        scores,
    )


def gradient(loss: EmbeddingLoss, embeddings: Tensor, batch: LossBatch) -> tuple[Tensor, Tensor]:
    """The loss, and its gradient by the embeddings."""
    leaf = embeddings.detach().clone().requires_grad_()
    value = loss(leaf, batch).loss
    (found,) = torch.autograd.grad(value, leaf)
    return value.detach(), found
