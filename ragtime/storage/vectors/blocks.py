"""Rows of float32 in blocks of a fixed size: the first ones in memory, what follows mapped from a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ragtime.storage.vectors.arguments import Matrix, Rows
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["BLOCK_BYTES", "Blocks", "RowReader"]

BLOCK_BYTES = 16 << 20  # at most so much is copied when rows are appended, and is held in memory unmapped
_FIRST_ROWS = 64
_MOST_MAPS = 16  # each keeps a file descriptor open

RowReader = Callable[[int, int], Matrix]
"""Maps the rows from a first to before a last one from a file."""


class Blocks:
    """A growing matrix that never moves a full block.

    Rows are only ever added, so that a view taken by a search stays right while others are appended.

    Attributes:
        dimension: Length of a row.
        rows_per_block: Rows in a full block.
        count: Rows in all.
    """

    def __init__(self, dimension: int, *, reader: RowReader | None = None, memory_bytes: int = 0) -> None:
        """Start without rows; full blocks beyond the first `memory_bytes` come from `reader` when there is one."""
        self.dimension = dimension
        self.rows_per_block = max(1, BLOCK_BYTES // (4 * dimension))
        self.count = 0
        self._reader = reader
        self._rows_in_memory = memory_bytes // (4 * dimension)
        self._blocks: list[Matrix] = []
        self._maps = 0

    def append(self, vectors: Matrix) -> None:
        """Copy rows to the end; they must be in the file already when there is one."""
        taken = 0
        while taken < len(vectors):
            used = self.count % self.rows_per_block
            size = min(self.rows_per_block - used, len(vectors) - taken)
            block = self._room(used, size)
            block[used : used + size] = vectors[taken : taken + size]
            taken += size
            self.count += size
            if used + size == self.rows_per_block:
                self._seal()

    def load(self, rows: int) -> None:
        """Take the first `rows` rows of the file."""
        if not rows:
            return
        assert self._reader is not None  # noqa: S101 - only persistent indexes load
        mapped = self._reader(0, rows)
        for first in range(0, rows, self.rows_per_block):
            last = min(first + self.rows_per_block, rows)
            whole = last - first == self.rows_per_block
            # A block that is not full is written to by the next rows, and so cannot be mapped.
            block = mapped[first:last]
            self._blocks.append(block if whole and last > self._rows_in_memory else np.array(block))
        self.count = rows

    def _room(self, used: int, size: int) -> Matrix:
        if not used:
            self._blocks.append(np.empty((0, self.dimension), np.float32))
        block = self._blocks[-1]
        if used + size > len(block):
            room = min(self.rows_per_block, max(_FIRST_ROWS, 2 * len(block), used + size))
            grown = np.empty((room, self.dimension), np.float32)
            grown[:used] = block[:used]
            self._blocks[-1] = block = grown
        return block

    def _seal(self) -> None:
        if self._reader is None or self.count <= self._rows_in_memory:
            return
        self._maps += 1
        if self._maps < _MOST_MAPS:
            self._blocks[-1] = self._reader(self.count - self.rows_per_block, self.count)
            return
        mapped, self._maps = self._reader(0, self.count), 0
        for number in range(len(self._blocks)):
            last = (number + 1) * self.rows_per_block
            if last > self._rows_in_memory:
                self._blocks[number] = mapped[last - self.rows_per_block : last]

    def views(self) -> list[Matrix]:
        """Return the blocks, each cut to its rows; what is appended later does not show in them."""
        *full, last = self._blocks or [np.empty((0, self.dimension), np.float32)]
        return [*full, last[: self.count - len(full) * self.rows_per_block]]


def gather(blocks: list[Matrix], rows: Rows) -> Matrix:
    """Copy single rows out of the views of a matrix.

    Args:
        blocks: The views, of equal length but for the last one.
        rows: Numbers of rows, ascending.

    Returns:
        The rows, of shape ``[len(rows), dimension]``.
    """
    size = len(blocks[0])
    if not len(rows) or rows[-1] < size:
        return blocks[0][rows]
    taken = np.empty((len(rows), blocks[0].shape[1]), np.float32)
    numbers = rows // size
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(rows)], strict=True):
        number = int(numbers[start])
        # Not with `out` alone: numpy would buffer it against indexes that are out of range.
        np.take(blocks[number], rows[start:stop] - number * size, axis=0, out=taken[start:stop], mode="clip")
    return taken
