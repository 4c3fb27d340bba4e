"""Cosines of embeddings, computed so that no run differs from the next and no precision is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import functional
else:
    torch = LazyModule("torch")
    functional = LazyModule("torch.nn.functional")

__all__ = ["batch_cosines", "needed", "row_cosines", "weighted_mean"]

_T = TypeVar("_T")

_SHORTEST = 1e-12  # a vector of this length or less has no direction


def row_cosines(embeddings: Tensor, positions: Tensor) -> Tensor:
    """Compare each row's query with the row's own texts.

    Args:
        embeddings: Of shape ``[texts, dimension]``, of any length and precision.
        positions: int64 of shape ``[rows, columns]``: which embedding stands in each cell, -1 for none.

    Returns:
        Cosines of shape ``[rows, columns - 1]``, float32 (float64 for float64 embeddings); where there is no text,
        some finite number.
    """
    cells = _take(_unit_vectors(embeddings), positions)
    return (cells[:, :1] * cells[:, 1:]).sum(-1)


def batch_cosines(embeddings: Tensor, positions: Tensor) -> Tensor:
    """Compare each row's query with the texts of all rows.

    Args:
        embeddings: Of shape ``[texts, dimension]``, of any length and precision.
        positions: int64 of shape ``[rows, columns]``: which embedding stands in each cell, -1 for none.

    Returns:
        Cosines of shape ``[rows, rows * (columns - 1)]``, the candidates column by column, as in
        :class:`~ragtime.services.model_finetuner.losses.base.LossBatch`; float32 (float64 for float64 embeddings);
        where there is no text, some finite number.
    """
    unit = _unit_vectors(embeddings)
    queries, candidates = _take(unit, positions[:, 0]), _take(unit, positions[:, 1:].T.reshape(-1))
    with torch.autocast(embeddings.device.type, enabled=False):  # it would round the products to 8 bits
        return queries @ candidates.T


def weighted_mean(losses: Tensor, weights: Tensor) -> Tensor:
    """Average the losses of rows.

    Args:
        losses: Of shape ``[rows]``.
        weights: Of shape ``[rows]``, above 0; only their ratios count.

    Returns:
        A number without axes; 0, and still part of the graph, where there are no rows.
    """
    weights = weights.to(losses.dtype)
    return (losses * weights).sum() / weights.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def needed(values: _T | None, what: str, loss: str) -> _T:
    """Return what a loss cannot do without.

    Args:
        values: What the batch holds.
        what: Its name.
        loss: Name of the loss.

    Returns:
        The values.

    Raises:
        InvalidArgumentError: The batch has none.
    """
    if values is None:
        raise InvalidArgumentError(f"The loss {loss} needs {what}, and the batch has none: use data that have them")
    return values


def _unit_vectors(embeddings: Tensor) -> Tensor:
    """Bring vectors to unit length; those without a direction become zeros, through which no gradient flows."""
    vectors = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    # A nan is not <= anything, and stays one: a broken model must be seen in the loss.
    return (vectors / lengths.clamp_min(_SHORTEST)).masked_fill(lengths <= _SHORTEST, 0.0)


def _take(vectors: Tensor, positions: Tensor) -> Tensor:
    """Return ``vectors[positions]``, with the first vector where a position is -1.

    The gradient of plain indexing is summed by several threads in whatever order they come, so that a text which
    stands in three cells gets another gradient in each run; that of an embedding table is summed in one order.
    """
    taken: Tensor = functional.embedding(positions.clamp_min(0), vectors)
    return taken
