"""A batch of rows as a loss sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ragtime.services.model_finetuner.losses import EmbeddingLoss, LossBatch
from ragtime.services.model_finetuner.planning import FalseNegatives, TrainingRows, distinct_texts
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import torch

    from ragtime.services.model_finetuner.dataset import RowColumns
    from ragtime.services.model_finetuner.forward import BatchEncoder
    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    torch = LazyModule("torch")

__all__ = ["BatchMaker", "MadeBatch", "ValidationLoss"]


class MadeBatch(NamedTuple):
    """A batch, ready to be computed.

    Attributes:
        numbers: Numbers of its distinct texts, in the order in which the loss wants their embeddings.
        given: What the loss is told of them.
    """

    numbers: Numbers
    given: LossBatch


@dataclass(frozen=True, slots=True, eq=False)
class BatchMaker:
    """Turns positions of rows into batches.

    Attributes:
        rows: All rows of a run, those for validation included.
        columns: Their labels, weights and scores.
        known: Which candidates are no negatives.
        device: Where the loss is computed.
    """

    rows: TrainingRows
    columns: RowColumns
    known: FalseNegatives
    device: torch.device

    def make(self, batch: Numbers) -> MadeBatch:
        """Make the batch of some rows.

        Args:
            batch: Their positions.

        Returns:
            The batch.
        """
        texts = distinct_texts(self.rows, batch)
        labels, scores = self.columns.labels, self.columns.scores
        given = LossBatch(
            positions=self._moved(texts.positions),
            excluded=self._moved(self.known.mask(batch)),
            weights=self._moved(self.columns.weights[batch]),
            labels=None if labels is None else self._moved(labels[batch]),
            scores=None if scores is None else self._moved(scores[batch]),
        )
        return MadeBatch(texts.numbers, given)

    def _moved(self, array: Any) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)


@dataclass(frozen=True, slots=True, eq=False)
class ValidationLoss:
    """The loss of rows that are not trained on.

    Attributes:
        loss: The loss.
        batches: Makes the batches.
        encoder: Computes their embeddings, without dropout.
    """

    loss: EmbeddingLoss
    batches: BatchMaker
    encoder: BatchEncoder

    def measure(self, rows: Numbers, batch_size: int) -> float:
        """Compute the loss of some rows, in batches like those of training.

        Args:
            rows: Their positions.
            batch_size: Rows of a batch; the last one may have fewer.

        Returns:
            The mean over the rows.
        """
        total = 0.0
        for start in range(0, len(rows), batch_size):
            some = rows[start : start + batch_size]
            numbers, given = self.batches.make(some)
            embeddings = torch.from_numpy(self.encoder.embed(numbers)).to(self.batches.device)
            total += len(some) * float(self.loss(embeddings, given).loss)
        return total / len(rows)
