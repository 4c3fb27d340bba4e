"""Exact nearest vectors: a fast scan finds candidates, an exact sum ranks them.

The scan computes inner products in float32, whose last digits depend on how rows and queries are grouped. It therefore
keeps every row that could be among the best within the largest error such a sum can have (Higham, Accuracy and
Stability of Numerical Algorithms, section 3.1), and only these are summed again, in float64 and each row by itself, and
rounded to float32. So a score depends on the two vectors alone, and equal vectors tie exactly.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragtime.storage.vectors.blocks import gather

if TYPE_CHECKING:
    from ragtime.storage.vectors.arguments import CheckedVectors, Matrix, Rows

__all__ = ["HELPERS", "Hit", "Part", "exact_scores", "find_candidates", "parts_of"]

QUERIES = 32  # per matrix product: twice as many gained nothing, and their scores would leave the cache
HELPERS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1) - 1

_PIECE_BYTES = 4 << 20  # what one thread scans at a time
_EXACT_ROWS = 1024
_PENDING = 4096
_UNIT_ROUNDOFF = 2.0**-24
_UNDERFLOW = 2.0**-125
_LOWEST = np.finfo(np.float32).min  # above minus infinity, the score of what is excluded

Mask = npt.NDArray[np.bool_]


class Hit(NamedTuple):
    """A vector that was found.

    Attributes:
        id: Its id.
        score: Its inner product with the query, the cosine when both have unit length.
    """

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows that are scanned together.

    Attributes:
        vectors: The rows; with `rows`, all views of the matrix to take them from.
        first: Number of the first row.
        excluded: Which of the rows are not to be found; ``None`` means all are.
        rows: Numbers of the single rows to scan; ``None`` means a run of rows.
    """

    vectors: Matrix | list[Matrix]
    first: int = 0
    excluded: Mask | None = None
    rows: Rows | None = None

    def load(self) -> Matrix:
        """Return the rows, copied when they are single ones."""
        if isinstance(self.vectors, list):
            assert self.rows is not None  # noqa: S101 - always given with views
            return gather(self.vectors, self.rows)
        return self.vectors


def parts_of(
    blocks: list[Matrix], excluded: Sequence[Mask | None], rows: Rows | None, *, whole_blocks: bool
) -> list[Part]:
    """Cut a matrix into parts.

    Args:
        blocks: Its views.
        excluded: For each block, which rows are not to be found.
        rows: Numbers of the only rows to scan, ascending; ``None`` means all.
        whole_blocks: Whether a part is a block, as suits matrix products, or a smaller piece.

    Returns:
        The parts.
    """
    size = len(blocks[0])
    step = size if whole_blocks else max(1, _PIECE_BYTES // (4 * blocks[0].shape[1]))
    if rows is not None:
        return [Part(blocks, rows=rows[first : first + step]) for first in range(0, len(rows), step or 1)]
    return [
        Part(
            block[first : first + step],
            number * size + first,
            mask if mask is None else mask[first : min(first + step, len(block))],
        )
        for number, (block, mask) in enumerate(zip(blocks, excluded, strict=True))
        for first in range(0, len(block), step or 1)
    ]


def find_candidates(
    parts: list[Part], queries: CheckedVectors, k: int, *, longest: float, pool: Executor | None
) -> list[Rows]:
    """Find the rows that can be among the `k` best of each query.

    Args:
        parts: What to scan.
        queries: At most :data:`QUERIES` of them.
        k: How many are wanted.
        longest: Length of the longest vector in the parts.
        pool: Helps with a single query; ``None`` means one thread. Several queries run on the threads of BLAS.

    Returns:
        For each query the numbers of the rows, ascending, the `k` best and all that tie with them included.
    """
    dimension = queries.values.shape[1]
    slack = 2 * ((dimension + 8) * _UNIT_ROUNDOFF * longest * queries.norms + dimension * _UNDERFLOW)
    candidates = _Candidates(len(queries.values), k, slack)
    remaining = iter(parts)
    if pool is None or len(queries.values) > 1:
        _scan(remaining, queries.values, candidates)
        return candidates.rows()
    # BLAS's own threads wait for each other, and on a busy machine stall a short product for a whole time slice of the
    # scheduler (8 ms instead of 0.2 ms). Here every thread takes the next piece when it is free, and a helper that has
    # not woken up by the end is not waited for.
    helpers = [pool.submit(_scan, remaining, queries.values, candidates) for _ in range(min(HELPERS, len(parts) - 1))]
    try:
        _scan(remaining, queries.values, candidates)
    finally:
        started = [helper for helper in helpers if not helper.cancel()]
    for helper in started:
        helper.result()
    return candidates.rows()


def _scan(parts: Iterator[Part], queries: Matrix, candidates: _Candidates) -> None:
    for part in parts:
        vectors = part.load()
        # The product of a matrix with one vector would run on BLAS's threads; single inner products never do.
        scores = _inner_products(vectors, queries[0])[None] if len(queries) == 1 else queries @ vectors.T
        if part.excluded is not None:
            scores[:, part.excluded] = -np.inf
        candidates.offer(scores, part)


def _inner_products(vectors: Matrix, query: Matrix) -> Matrix:
    vecdot: Any = getattr(np, "vecdot", None)  # since numpy 2.0
    scores: Matrix = np.einsum("ij,j->i", vectors, query) if vecdot is None else vecdot(vectors, query)
    return scores


class _Candidates:
    """The best rows so far of some queries; several threads may offer."""

    def __init__(self, queries: int, k: int, slack: npt.NDArray[np.float64]) -> None:
        self._k, self._slack = k, slack
        self._floor: Matrix = np.full(queries, _LOWEST, np.float32)  # replaced, never written to: read without a lock
        self._kept: list[tuple[Rows, Rows, Matrix]] = []
        self._pending, self._most = 0, _PENDING
        self._lock = threading.Lock()

    def offer(self, scores: Matrix, part: Part) -> None:
        """Keep what could be among the best of each query; `scores` has the shape ``[queries, rows]``."""
        floor, width = self._floor, scores.shape[1]
        if width > self._k and floor.min() == _LOWEST:
            floor = self._below(np.partition(scores, width - self._k, axis=1)[:, width - self._k])
        flat = np.flatnonzero(scores >= floor[:, None])
        if not len(flat):
            return
        queries, at = np.divmod(flat, width)
        rows = at + part.first if part.rows is None else part.rows[at]
        with self._lock:
            self._floor = np.maximum(self._floor, floor)
            self._kept.append((queries, rows, scores.ravel()[flat]))
            self._pending += len(flat)
            if self._pending > self._most:
                self._prune()
                self._most = max(_PENDING, 2 * self._pending)

    def _below(self, best: npt.NDArray[Any]) -> Matrix:
        floor = np.nextafter((best - self._slack).astype(np.float32), np.float32(-np.inf))
        return np.maximum(floor, _LOWEST)

    def _prune(self) -> list[Rows]:
        queries, rows, scores = (np.concatenate(column) for column in zip(*self._kept, strict=True))
        order = np.lexsort((rows, queries))
        queries, rows, scores = queries[order], rows[order], scores[order]
        bounds = np.searchsorted(queries, np.arange(len(self._floor) + 1)).tolist()
        best = np.full(len(self._floor), -np.inf)
        for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
            if stop - start > self._k:
                best[number] = np.partition(scores[start:stop], stop - start - self._k)[stop - start - self._k]
        self._floor = np.maximum(self._floor, self._below(best))
        keep = scores >= self._floor[queries]
        self._kept = [(queries[keep], rows[keep], scores[keep])]
        self._pending = int(np.count_nonzero(keep))
        return np.split(rows[keep], np.cumsum(np.bincount(queries[keep], minlength=len(self._floor)))[:-1])

    def rows(self) -> list[Rows]:
        """Return the candidates of each query, ascending."""
        return self._prune() if self._kept else [np.empty(0, np.int64) for _ in self._floor]


def exact_scores(blocks: list[Matrix], rows: Rows, query: Matrix) -> list[float]:
    """Compute inner products whose value depends on the two vectors alone.

    Args:
        blocks: The views of the matrix.
        rows: Numbers of the rows, ascending.
        query: The query, of shape ``[dimension]``.

    Returns:
        For each row the inner product, summed in float64 and rounded to float32.
    """
    exact: list[float] = []
    for first in range(0, len(rows), _EXACT_ROWS):
        products = np.multiply(gather(blocks, rows[first : first + _EXACT_ROWS]), query, dtype=np.float64)
        # Adding zero makes a negative zero positive.
        exact += (products.sum(axis=1).astype(np.float32) + np.float32(0)).tolist()
    return exact
