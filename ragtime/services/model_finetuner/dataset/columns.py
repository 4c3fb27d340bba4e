"""Rows as columns: what a plan is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ragtime.services.model_finetuner.dataset.rows import DataShape, Row
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float32]
else:
    np = LazyModule("numpy")

__all__ = ["RowColumns", "columns"]

_WITH_NEGATIVES = ("triplets", "scored")


@dataclass(frozen=True, slots=True, eq=False)
class RowColumns:
    """The columns of some rows.

    Attributes:
        texts: The queries, the responses, and as many columns of negatives as the row with the most has, ``None`` where
            a row has fewer; each of as many texts as there are rows.
        weights: float32 of shape ``[rows]``.
        labels: float32 of shape ``[rows]``, 0 to 1; ``None`` unless every row has one.
        scores: float32 of shape ``[rows, len(texts) - 1]``, nan where there is none; ``None`` unless the shape is
            ``scored``.
    """

    texts: list[list[str | None]]
    weights: Floats
    labels: Floats | None
    scores: Floats | None


def columns(rows: Sequence[Row], shape: DataShape) -> RowColumns:
    """Turn rows into columns.

    Args:
        rows: The rows.
        shape: The shape of their data set; only ``triplets`` and ``scored`` have negatives.

    Returns:
        The columns; `texts` is what ``number_texts`` takes.
    """
    most = max((len(row.negatives) for row in rows), default=0) if shape in _WITH_NEGATIVES else 0
    texts: list[list[str | None]] = [[row.query for row in rows], [row.response for row in rows]]
    texts += [[row.negatives[place] if place < len(row.negatives) else None for row in rows] for place in range(most)]
    labels = [row.label for row in rows if row.label is not None]
    scores = None
    if shape == "scored":
        scores = np.full((len(rows), most + 1), np.nan, np.float32)
        for number, row in enumerate(rows):
            known = row.scores or ()
            scores[number, : len(known)] = known
    return RowColumns(
        texts=texts,
        weights=np.array([row.weight for row in rows], np.float32),
        labels=np.array(labels, np.float32) if rows and len(labels) == len(rows) else None,
        scores=scores,
    )
