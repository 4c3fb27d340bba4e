"""Exact nearest vectors: a fast scan finds candidates, an exact sum ranks them.

The scan computes inner products in float32, whose last digits depend on how rows and queries are grouped. It therefore
keeps every row that could be among the best within the largest error such a sum can have (Higham, Accuracy and
Stability of Numerical Algorithms, section 3.1), and only these are summed again, in float64 and each row by itself, and
rounded to float32. So a score depends on the two vectors alone, and equal vectors tie exactly.
"""

from __future__ import annotations

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

__all__ = ["FEW_QUERIES", "QUERIES", "Hit", "exact_pair_scores", "exact_scores", "find_candidates"]

FEW_QUERIES = 4  # from here on a matrix product takes less time than the queries one by one
QUERIES = 32  # per matrix product: twice as many gained nothing, and their scores would leave the cache

_SELECTED = 1 << 16
_EXACT_ROWS = 256  # with four times as many, the memory for each product is fetched anew, at six times the cost
_PENDING = 4096
_PARTS_FOR_ONE = 4  # for each of the k best; with fewer, the bound is low and more candidates pass
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
    parts: list[Part], queries: CheckedVectors, k: int, *, longest: float, scanner: Scanner | None
) -> list[Rows]:
    """Find the vectors that can be among the `k` best of each query.

    Args:
        parts: What to scan.
        queries: At most :data:`QUERIES` of them, where the caller waits; a long run takes more at a time.
        k: How many are wanted.
        longest: Length of the longest vector in the parts.
        scanner: Shares the work among threads; ``None`` leaves it to the calling thread, for callers that share whole
            groups of queries, inside :func:`~ragtime.storage.vectors.blas.one_blas_thread`.

    Returns:
        For each query, ascending, the positions in the parts of the `k` best, of all that tie with them, and perhaps of
        some more.
    """
    dimension = queries.values.shape[1]
    slack = 2 * ((dimension + 8) * _UNIT_ROUNDOFF * longest * queries.norms + dimension * _UNDERFLOW)
    candidates = _Candidates(len(queries.values), k, slack)
    if scanner is None:
        _multiply(iter(parts), queries.values, candidates)
    elif len(queries.values) == 1:
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
            floor = np.maximum(floor, _below(_least_of_best(scores, self._k), self._slack))
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

    def _prune(self) -> None:
        queries, positions, scores = (np.concatenate(column) for column in zip(*self._kept, strict=True))
        # Sorting the keys alone, query before score, takes a fraction of the time of a partition for each query.
        keys = np.sort((queries << 32) - _ordered(scores))
        bounds = np.searchsorted(keys, (np.arange(len(self._floor) + 1) << 32) - (1 << 31))
        full = np.flatnonzero(np.diff(bounds) >= self._k)
        least = _unordered((full << 32) - keys[bounds[full] + self._k - 1])
        floor = self._floor.copy()
        floor[full] = np.maximum(floor[full], _below(least, self._slack[full]))
        self._floor = floor
        keep = scores >= self._floor[queries]
        self._kept = [(queries[keep], positions[keep], scores[keep])]
        self._pending = int(np.count_nonzero(keep))

    def positions(self) -> list[Rows]:
        """Return the candidates of each query, ascending."""
        if not self._kept:
            return [np.empty(0, np.int64) for _ in self._floor]
        self._prune()
        queries, positions, _ = self._kept[0]
        width = int(positions.max(initial=0)) + 1
        keys = np.sort(queries * width + positions)
        bounds = np.searchsorted(keys, np.arange(1, len(self._floor)) * width)
        return np.split(keys % width, bounds)


def _least_of_best(scores: Matrix, k: int) -> Matrix:
    """Return for each row a lower bound of its k-th largest score: the k-th largest of the maxima of disjoint parts."""
    folds = max(1, scores.shape[1] // (_PARTS_FOR_ONE * k))
    parts = scores.shape[1] // folds
    maxima = scores[:, : folds * parts].reshape(len(scores), folds, parts).max(axis=1)
    return np.partition(maxima, parts - k, axis=1)[:, parts - k]


def _ordered(scores: Matrix) -> Rows:
    """Map float32 to whole numbers of the same order, from ``-2**31`` to under ``2**31``."""
    bits = scores.view(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)


def _unordered(numbers: Rows) -> Matrix:
    bits = numbers.astype(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32)


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
        exact += _exact_products(gather(blocks, rows[first : first + _EXACT_ROWS]), query).tolist()
    return exact


def exact_pair_scores(vectors: Matrix, rows: Rows, queries: Matrix, numbers: Rows) -> Matrix:
    """Compute the same inner products as :func:`exact_scores` for pairs of a vector and a query.

    Args:
        vectors: The matrix.
        rows: Numbers of its rows, of shape ``[n]``.
        queries: The queries, of shape ``[q, dimension]``.
        numbers: The number of the query that goes with each row, of shape ``[n]``.

    Returns:
        float32 of shape ``[n]``.
    """
    exact = np.empty(len(rows), np.float32)
    for first in range(0, len(rows), _EXACT_ROWS):
        some = slice(first, first + _EXACT_ROWS)
        exact[some] = _exact_products(vectors[rows[some]], queries[numbers[some]])
    return exact


def _exact_products(vectors: Matrix, queries: Matrix) -> Matrix:
    products: Matrix = np.multiply(vectors, queries, dtype=np.float64).sum(axis=1).astype(np.float32)
    return products
