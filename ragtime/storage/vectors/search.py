"""Exact nearest vectors: a fast scan finds candidates, an exact sum ranks them.

The scan computes inner products in float32, whose last digits depend on how rows and queries are grouped. It therefore
keeps every row that could be among the best within the largest error such a sum can have (Higham, Accuracy and
Stability of Numerical Algorithms, section 3.1), and only these are summed again, in float64 and each row by itself, and
rounded to float32. So a score depends on the two vectors alone, and equal vectors tie exactly.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ragtime.storage.vectors.blas import one_blas_thread
from ragtime.storage.vectors.blocks import gather
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ragtime.storage.vectors.arguments import CheckedVectors, Matrix, Rows
    from ragtime.storage.vectors.scan import Part, Scanner
else:
    np = LazyModule("numpy")

__all__ = ["FEW_QUERIES", "QUERIES", "Hit", "exact_scores", "find_candidates"]

FEW_QUERIES = 4  # from here on a matrix product takes less time than the queries one by one
QUERIES = 32  # per matrix product: twice as many gained nothing, and their scores would leave the cache

_SELECTED = 1 << 16
_EXACT_ROWS = 1024
_PENDING = 4096
_UNIT_ROUNDOFF = 2.0**-24
_UNDERFLOW = 2.0**-125
_MINUS_INFINITY = float("-inf")
_LOWEST = -3.4028234663852886e38  # the least float32: above minus infinity, the score of what is excluded


class Hit(NamedTuple):
    """A vector that was found.

    Attributes:
        id: Its id.
        score: Its inner product with the query, the cosine when both have unit length.
    """

    id: str
    score: float


def find_candidates(
    parts: list[Part], queries: CheckedVectors, k: int, *, longest: float, scanner: Scanner
) -> list[Rows]:
    """Find the vectors that can be among the `k` best of each query.

    Args:
        parts: What to scan.
        queries: At most :data:`QUERIES` of them.
        k: How many are wanted.
        longest: Length of the longest vector in the parts.
        scanner: Shares the work among threads.

    Returns:
        For each query, ascending, the positions in the parts of the `k` best, of all that tie with them, and perhaps of
        some more.
    """
    dimension = queries.values.shape[1]
    slack = 2 * ((dimension + 8) * _UNIT_ROUNDOFF * longest * queries.norms + dimension * _UNDERFLOW)
    candidates = _Candidates(len(queries.values), k, slack)
    if len(queries.values) == 1:
        scores = scanner.score(parts, queries.values[0])
        if k < len(scores) <= _SELECTED:  # at once, for in a small index each step shows
            best = np.partition(scores, len(scores) - k)[len(scores) - k]
            return [(scores >= _below(best, slack[0])).nonzero()[0]]
        for start in range(0, len(scores), _SELECTED):
            candidates.offer(scores[None, start : start + _SELECTED], start)
    else:
        with one_blas_thread():
            scanner.share(parts, lambda some: _multiply(some, queries.values, candidates))
    return candidates.positions()


def _multiply(parts: Iterator[Part], queries: Matrix, candidates: _Candidates) -> None:
    for part in parts:
        products = queries @ part.load().T
        if part.excluded is not None:
            products[:, part.excluded] = -np.inf
        candidates.offer(products, part.start)


def _below(best: Any, slack: Any) -> Any:
    return np.maximum(np.nextafter(np.asarray(best - slack, np.float32), _MINUS_INFINITY), _LOWEST)


class _Candidates:
    """The best vectors so far of some queries, by their positions; several threads may offer."""

    def __init__(self, queries: int, k: int, slack: npt.NDArray[np.float64]) -> None:
        self._k, self._slack = k, slack
        self._floor: Matrix = np.full(queries, _LOWEST, np.float32)  # replaced, never written to: read without a lock
        self._kept: list[tuple[Rows, Rows, Matrix]] = []
        self._pending, self._most = 0, _PENDING
        self._lock = threading.Lock()

    def offer(self, scores: Matrix, start: int) -> None:
        """Keep what could be among the best of each query.

        Args:
            scores: float32 of shape ``[queries, n]``.
            start: Position of the first of the `n`.
        """
        floor, width = self._floor, scores.shape[1]
        if width > self._k and floor.min() == _LOWEST:
            floor = _below(np.partition(scores, width - self._k, axis=1)[:, width - self._k], self._slack)
        flat = np.flatnonzero(scores >= floor[:, None])
        if not len(flat):
            return
        queries, at = np.divmod(flat, width)
        with self._lock:
            self._floor = np.maximum(self._floor, floor)
            self._kept.append((queries, at + start, scores.ravel()[flat]))
            self._pending += len(flat)
            if self._pending > self._most:
                self._prune()
                self._most = max(_PENDING, 2 * self._pending)

    def _prune(self) -> list[Rows]:
        queries, positions, scores = (np.concatenate(column) for column in zip(*self._kept, strict=True))
        order = np.lexsort((positions, queries))
        queries, positions, scores = queries[order], positions[order], scores[order]
        bounds = np.searchsorted(queries, np.arange(len(self._floor) + 1)).tolist()
        best = np.full(len(self._floor), -np.inf)
        for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
            if stop - start > self._k:
                best[number] = np.partition(scores[start:stop], stop - start - self._k)[stop - start - self._k]
        self._floor = np.maximum(self._floor, _below(best, self._slack))
        keep = scores >= self._floor[queries]
        self._kept = [(queries[keep], positions[keep], scores[keep])]
        self._pending = int(np.count_nonzero(keep))
        return np.split(positions[keep], np.cumsum(np.bincount(queries[keep], minlength=len(self._floor)))[:-1])

    def positions(self) -> list[Rows]:
        """Return the candidates of each query, ascending."""
        if not self._kept:
            return [np.empty(0, np.int64) for _ in self._floor]
        return self._prune()


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
        exact += products.sum(axis=1).astype(np.float32).tolist()
    return exact
