"""Rows of an index that are in memory: what is kept of each text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from ragtime.services.training_data_gen.dedup.shingles import Hashes, ShingleSets

__all__ = ["Rows"]


class Rows:
    """Digests, ids and sketches, in lists and arrays of many texts.

    There is no object for each text that the garbage collector would look through: with one, a quarter of the time of
    a large batch went there.

    Attributes:
        first: The first row that is here.
        digests: The digests.
        ids: The ids.
        blocks: The sketches, those of one call of :meth:`extend` after the other.
    """

    def __init__(self, first: int = 0) -> None:
        """Hold the rows from `first` on, none yet."""
        self.first = first
        self.digests: list[bytes] = []
        self.ids: list[str] = []
        self.blocks: list[ShingleSets] = []
        self._ends: list[int] = []

    def __len__(self) -> int:
        return len(self.digests)

    def extend(self, digests: Sequence[bytes], ids: Sequence[str], sketches: ShingleSets) -> None:
        """Add texts."""
        if digests:
            self.digests.extend(digests)
            self.ids.extend(ids)
            self.blocks.append(sketches)
            self._ends.append(len(self.digests))

    def digest(self, row: int) -> bytes:
        """Return the digest of a row."""
        return self.digests[row - self.first]

    def id(self, row: int) -> str:
        """Return the id of a row."""
        return self.ids[row - self.first]

    def sketch(self, row: int) -> Hashes:
        """Return the sketch of a row."""
        place = row - self.first
        block = bisect_right(self._ends, place)
        return self.blocks[block].of(place - (self._ends[block - 1] if block else 0))

    def truncate(self, count: int) -> None:
        """Forget all but the first `count` texts, which are those that some calls of :meth:`extend` have added."""
        del self.digests[count:], self.ids[count:]
        blocks = bisect_right(self._ends, count)
        del self.blocks[blocks:], self._ends[blocks:]
