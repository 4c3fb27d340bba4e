"""The best-scored passages of every query, exactly and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ragtime.services.training_data_gen.mining.task import Vectors
from ragtime.storage.vectors.arguments import CheckedVectors, check_vectors
from ragtime.storage.vectors.blas import one_blas_thread
from ragtime.storage.vectors.scan import Mask, Part, Scanner
from ragtime.storage.vectors.search import exact_pair_scores, find_candidates
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["NOTHING", "Candidates", "Positions", "rank_candidates"]

Positions: TypeAlias = "npt.NDArray[np.int32]"

NOTHING = -1
"""The position that fills a row which has no more candidates; its score is minus infinity."""

_QUERIES = 256  # a tile of scores is 256 by 2,730 of 384 dimensions, 2.8 MB: larger and smaller ones took longer
_TILE_BYTES = 4 << 20  # of the corpus


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The best-scored passages of each query, the best first, equal scores by position.

    Attributes:
        positions: int32 of shape ``[q, k]``; :data:`NOTHING` where there are no more.
        scores: float32 of shape ``[q, k]``.
    """

    positions: Positions
    scores: Vectors


def rank_candidates(queries: Vectors, corpus: Vectors, k: int, *, excluded: Mask | None = None) -> Candidates:
    """Find the `k` best-scored passages of every query.

    Both axes are cut into tiles, so that memory beyond the result is that of a few tiles. Groups of queries are shared
    among threads, and each group keeps what reaches its own running k-th score. Scores are summed again in float64:
    they depend on the two vectors alone, and the result neither on tiles nor on threads.

    Args:
        queries: float32 of shape ``[q, dimension]``.
        corpus: float32 of shape ``[n, dimension]``.
        k: How many to find, at most `n`.
        excluded: Which passages are not to be found; ``None`` means all are.

    Returns:
        The candidates.

    Raises:
        InvalidArgumentError: A value is not finite.
    """
    asked = check_vectors(queries, queries.shape[1])
    passages = check_vectors(corpus, corpus.shape[1])
    longest = float(passages.norms.max())
    step = max(1, _TILE_BYTES // (4 * corpus.shape[1]))
    parts = [
        Part(
            first,
            min(step, len(corpus) - first),
            passages.values[first : first + step],
            None if excluded is None else excluded[first : first + step],
        )
        for first in range(0, len(corpus), step)
    ]
    found = Candidates(np.full((len(queries), k), NOTHING, np.int32), np.full((len(queries), k), -np.inf, np.float32))

    def work(groups: Iterator[int]) -> None:
        for first in groups:
            some = slice(first, first + _QUERIES)
            group = CheckedVectors(asked.values[some], asked.norms[some])
            rows = find_candidates(parts, group, k, longest=longest, scanner=None)
            numbers = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
            positions = np.concatenate(rows)
            scores = exact_pair_scores(passages.values, positions, group.values, numbers)
            order = np.lexsort((positions, -scores, numbers))
            # Each row holds at least as many as it may keep, when there are so many at all.
            places = np.arange(len(numbers)) - np.searchsorted(numbers, numbers)
            kept = np.flatnonzero(places < k)
            at = (first + numbers[kept], places[kept])
            found.positions[at] = positions[order[kept]]
            found.scores[at] = scores[order[kept]]

    with one_blas_thread():
        Scanner().share(range(0, len(queries), _QUERIES), work)
    return found
