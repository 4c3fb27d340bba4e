"""What becomes of the texts of a batch, and the pairs of a text and an earlier one that decide on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from ragtime.services.training_data_gen.dedup.shingles import Offsets
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["EXACT", "MEANT", "NEAR", "RUNGS", "Duplicate", "Kept", "Match", "Matches", "Rung"]

Rung = Literal["exact", "minhash", "embedding"]
"""What found a duplicate."""

RUNGS: tuple[Rung, ...] = ("exact", "minhash", "embedding")
EXACT, NEAR, MEANT = range(len(RUNGS))

Match = tuple[int, int, int, float]
"""Place of a text in its batch, number of the rung that found it, row of the earlier text, similarity."""


class Kept(NamedTuple):
    """A text that repeats nothing.

    Attributes:
        id: Its id.
    """

    id: str


class Duplicate(NamedTuple):
    """A text that repeats one that was kept.

    Attributes:
        id: Its id.
        of: Id of the text that was kept.
        rung: What found it: the same normalised text, enough shared shingles, or nearly the same vector.
        similarity: 1, their Jaccard similarity, or their cosine.
    """

    id: str
    of: str
    rung: Rung
    similarity: float


class Matches(NamedTuple):
    """Pairs of a text and an earlier one that it repeats.

    Attributes:
        places: Place of the text in its batch, int64.
        rungs: Number of the rung that found it, int64.
        rows: Row of the earlier text, int64.
        scores: How similar they are, float64.
    """

    places: Offsets
    rungs: Offsets
    rows: Offsets
    scores: npt.NDArray[np.float64]

    @classmethod
    def of(cls, matches: Sequence[Match]) -> Matches:
        """Make columns of rows."""
        places, rungs, rows, scores = zip(*matches, strict=True) if matches else ((), (), (), ())
        return cls(
            np.array(places, np.int64), np.array(rungs, np.int64), np.array(rows, np.int64), np.array(scores, float)
        )

    def joined(self, other: Matches) -> Matches:
        """Return these and others."""
        return Matches(
            np.concatenate([self.places, other.places]),
            np.concatenate([self.rungs, other.rungs]),
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.scores, other.scores]),
        )

    def best_first(self) -> Iterator[Match]:
        """Return the matches text by text: the first rung first, then the most similar, then the earliest."""
        order = np.lexsort((self.rows, -self.scores, self.rungs, self.places))
        return zip(
            self.places[order].tolist(),
            self.rungs[order].tolist(),
            self.rows[order].tolist(),
            self.scores[order].tolist(),
            strict=True,
        )
