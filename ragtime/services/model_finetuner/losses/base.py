"""What a loss is given, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["EmbeddingLoss", "LossBatch", "LossResult"]


@dataclass(frozen=True, slots=True, eq=False)
class LossBatch:
    """A batch as a loss sees it: its texts are numbers of embeddings.

    Attributes:
        positions: int64 of shape ``[rows, columns]``: the embedding of each cell; queries first, then responses, then
            negatives; -1 where a row has no further negative.
        excluded: Booleans of shape ``[rows, rows * (columns - 1)]``, true where a candidate is known to be no negative
            of the row's query. The candidates are the cells of the second column row by row, then of the third, ...
        weights: float32 of shape ``[rows]``, above 0: how much each row counts.
        labels: float32 of shape ``[rows]``, 0 to 1; ``None`` when the data have none.
        scores: float32 of shape ``[rows, columns - 1]``: a teacher's score of each response and negative, nan where
            there is none; ``None`` when the data have none.
    """

    positions: Tensor
    excluded: Tensor
    weights: Tensor
    labels: Tensor | None = None
    scores: Tensor | None = None


class LossResult(NamedTuple):
    """What a loss says of a batch.

    Attributes:
        loss: The weighted mean over the rows, float32 without axes.
        counts: Whole numbers by name, such as the candidates left out as false negatives.
    """

    loss: Tensor
    counts: Mapping[str, int]


class EmbeddingLoss(Protocol):
    """A loss as a function of embeddings alone, so that a batch can be computed in parts (GradCache)."""

    name: str

    def __call__(self, embeddings: Tensor, batch: LossBatch) -> LossResult:
        """Compute the loss.

        Args:
            embeddings: float32 of shape ``[texts, dimension]``, each distinct text of the batch once, as the model
                gives them (of unit length where it normalises).
            batch: Which of them are the queries, responses and negatives of the rows.

        Returns:
            The loss, which can be differentiated by `embeddings`, and counts.
        """
        ...
