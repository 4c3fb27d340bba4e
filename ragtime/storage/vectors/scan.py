"""The inner products of one query with many vectors, on as many threads as pay off."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ragtime.storage.vectors.blocks import gather
from ragtime.utils.extras import LazyModule
from ragtime.utils.workers import WorkerPool

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ragtime.storage.vectors.arguments import Matrix, Rows
else:
    np = LazyModule("numpy")

__all__ = ["Mask", "Part", "Scanner", "parts_of"]

_SMALL_BYTES = 32 << 20  # about 20,000 vectors of 384 dimensions
_PIECE_BYTES = 4 << 20  # what one thread takes at a time
_HELPERS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) - 1
_STALL_SECONDS = 0.001
_SLOW_BYTES_PER_SECOND = 8e9
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0  # seconds

P = TypeVar("P")

Mask: TypeAlias = "npt.NDArray[np.bool_]"


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows that are scanned together.

    Attributes:
        start: Position of the first one among all that are scanned.
        size: How many there are.
        vectors: The rows; with `rows`, all views of the matrix to take them from.
        excluded: Which of the rows are not to be found; ``None`` means all are.
        rows: Numbers of the single rows to scan; ``None`` means a run of rows.
    """

    start: int
    size: int
    vectors: Matrix | list[Matrix]
    excluded: Mask | None = None
    rows: Rows | None = None

    def load(self) -> Matrix:
        """Return the rows, copied when they are single ones."""
        if isinstance(self.vectors, list):
            assert self.rows is not None  # noqa: S101 - always given with views
            return gather(self.vectors, self.rows)
        return self.vectors


def parts_of(blocks: list[Matrix], excluded: Sequence[Mask | None], rows: Rows | None, *, queries: int) -> list[Part]:
    """Cut a matrix into parts.

    Args:
        blocks: Its views.
        excluded: For each block, which rows are not to be found.
        rows: Numbers of the only rows to scan, ascending; ``None`` means all.
        queries: How many are asked at once, 1 or a batch.

    Returns:
        The parts.
    """
    size, dimension = len(blocks[0]), blocks[0].shape[1]
    scanned = sum(map(len, blocks)) if rows is None else len(rows)
    shared = queries > 1 or _row_bytes(scanned, dimension) > _SMALL_BYTES
    step = max(1, _PIECE_BYTES // (4 * dimension) if shared else size)
    if rows is not None:
        some = [rows[first : first + step] for first in range(0, len(rows), step)]
        return [Part(number * step, len(few), blocks, rows=few) for number, few in enumerate(some)]
    parts = []
    for number, (block, mask) in enumerate(zip(blocks, excluded, strict=True)):
        for first in range(0, len(block), step):
            last = min(first + step, len(block))
            without = None if mask is None else mask[first:last]
            parts.append(Part(number * size + first, last - first, block[first:last], without))
    return parts


class Scanner:
    """Chooses the threads by the size of a scan.

    BLAS's own threads are the fastest for a small one, as long as they are awake and the machine is idle: they wait for
    each other, so that a product of 0.1 ms can stall for a time slice of the scheduler, 8 to 20 ms. When two in a row
    have stalled, small scans run on the calling thread alone for a while, longer each time. Large ones are shared piece
    by piece with helpers, which nobody waits for unless they are at work.
    """

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """Start without helpers; `clock` returns seconds."""
        self._clock = clock
        self._alone_until = -np.inf
        self._stalls = 0  # in a row
        self._pool: WorkerPool | None = None

    def score(self, parts: list[Part], query: Matrix) -> Matrix:
        """Compute inner products in float32.

        Args:
            parts: What to scan.
            query: The query, of shape ``[dimension]``.

        Returns:
            The products by position; minus infinity for what is excluded.
        """
        scores = np.empty(sum(part.size for part in parts), np.float32)
        size = _row_bytes(len(scores), len(query))
        if size > _SMALL_BYTES and _HELPERS:
            self.share(parts, lambda some: _scan(some, query, scores))
        elif size > _SMALL_BYTES or self._clock() < self._alone_until:
            _scan(iter(parts), query, scores)
        else:
            start = self._clock()
            _scan(iter(parts), query, scores, multiply=np.matmul)
            end = self._clock()
            stalled = end - start > _STALL_SECONDS + size / _SLOW_BYTES_PER_SECOND
            self._stalls = self._stalls + 1 if stalled else 0
            if self._stalls > 1:
                self._alone_until = end + min(_FIRST_PAUSE * 2.0 ** (min(self._stalls, 20) - 2), _LONGEST_PAUSE)
        return scores

    def share(self, parts: Sequence[P], work: Callable[[Iterator[P]], None]) -> None:
        """Run `work` in this thread and in helpers, all of which draw from one iterator over the `parts`.

        Parts are those of a scan or whatever else can be done in any order, such as groups of queries.
        """
        pool = self._pool = self._pool or WorkerPool(max(1, _HELPERS), thread_name_prefix="ragtime-vectors")
        remaining = iter(parts)
        helpers = [pool.submit(work, remaining) for _ in range(min(_HELPERS, len(parts) - 1))]
        try:
            work(remaining)
        finally:
            started = [helper for helper in helpers if not helper.cancel()]
        for helper in started:
            helper.result()


def _inner_products(vectors: Matrix, query: Matrix, *, out: Matrix) -> None:
    # Never runs on BLAS's threads, unlike the product of a matrix with a vector.
    vecdot: Any = getattr(np, "vecdot", None)  # since numpy 2.0
    if vecdot is None:
        np.einsum("ij,j->i", vectors, query, out=out)
    else:
        vecdot(vectors, query, out=out)


def _scan(
    parts: Iterator[Part], query: Matrix, scores: Matrix, *, multiply: Callable[..., object] = _inner_products
) -> None:
    for part in parts:
        own = scores[part.start : part.start + part.size]
        multiply(part.load(), query, out=own)
        if part.excluded is not None:
            own[part.excluded] = -np.inf


def _row_bytes(rows: int, dimension: int) -> int:
    return 4 * rows * dimension
