"""The last rung: texts whose vectors are nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.errors import StorageError
from ragtime.protocols import TextEncoder
from ragtime.storage.vectors import VectorIndex
from ragtime.storage.vectors.search import exact_pair_scores
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.storage.vectors.arguments import Matrix
else:
    np = LazyModule("numpy")

__all__ = ["Alike", "MeaningRung"]

_ROUNDING = 1e-4  # more than a product in float32 can be off; what comes so near is summed again exactly

Alike = list[tuple[int, float]]
"""Rows that a text is compared with, and their cosines."""


class MeaningRung:
    """Vectors of what was kept, by rows of the index."""

    def __init__(self, encoder: TextEncoder, cosine: float) -> None:
        """Find texts by `encoder` whose cosine is at least `cosine`."""
        self._encoder, self._cosine = encoder, cosine
        self._index = VectorIndex(encoder.dimension)

    def open(self, folder: Path, *, rows: int) -> None:
        """Keep the vectors in a folder; those of other than the first `rows` rows were never acknowledged."""
        fingerprint = self._encoder.fingerprint("passage")
        self._index = VectorIndex.open(folder, dimension=self._encoder.dimension, fingerprint=fingerprint)
        self.forget(rows)
        if len(self._index) != rows:
            raise StorageError(f"The index in {str(folder)!r} holds {len(self._index)} vectors of {rows} texts")

    def compare(self, texts: Sequence[str], *, first_row: int) -> tuple[Matrix, list[Alike]]:
        """Embed texts, and find which they are too like.

        Args:
            texts: The texts.
            first_row: Row of the first text, as if all were kept.

        Returns:
            Their vectors; and for each text the best row of the index, and the rows of earlier texts, that reach the
            cosine.
        """
        if not texts:
            return np.empty((0, self._encoder.dimension), np.float32), []
        vectors = self._encoder.encode(texts)
        alike: list[Alike] = [
            [(int(hit.id), hit.score) for hit in hits if hit.score >= self._cosine]
            for hits in self._index.search(vectors, 1)
        ]
        later, earlier = np.nonzero(np.tril(vectors @ vectors.T, -1) >= self._cosine - _ROUNDING)
        scores = exact_pair_scores(vectors, earlier, vectors, later)
        for place, other, score in zip(later.tolist(), earlier.tolist(), scores.tolist(), strict=True):
            if score >= self._cosine:
                alike[place].append((first_row + other, score))
        return vectors, alike

    def keep(self, rows: Sequence[int], vectors: Matrix) -> None:
        """Add the vectors of new rows."""
        self._index.add([str(row) for row in rows], vectors)

    def forget(self, rows: int) -> None:
        """Remove the vectors of all but the first `rows` rows."""
        self._index.remove([one for one in self._index.ids() if int(one) >= rows])

    def close(self) -> None:
        """Close the vectors."""
        self._index.close()
