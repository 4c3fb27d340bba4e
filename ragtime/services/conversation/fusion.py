"""One ranking out of two: that of the words and that of the vectors.

:func:`combine_scores` is what recall uses. Both scores have a natural scale, the cosine and the share of the question's
information that a turn holds, so that in their sum each counts where it has something to say. It was ahead of both of
its rankings on task dialogues, where vectors are better, and on pages of commands, where words are, with equal weights.
:func:`reciprocal_rank_fusion` needs a weight of the words of 0.6 or more on the pages and of 0.1 or less on the
dialogues. (Bruch, Gai and Ingber, An Analysis of Fusion Functions for Hybrid Retrieval, ACM TOIS 2023, find the like.)
It remains for rankings whose scores cannot be compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragtime.errors import InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["CANDIDATES", "LEXICAL_WEIGHT", "RRF_K", "TIME_BOOST", "Fused", "combine_scores", "reciprocal_rank_fusion"]

CANDIDATES = 100
"""How many of the best of each ranking are looked at: all of them, those that only one ranking has included."""

LEXICAL_WEIGHT = 1.0
"""What the share of the question's information counts beside the cosine."""

TIME_BOOST = 0.2
"""What is added to the score of a turn from the time that the question names."""

RRF_K = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009)."""


class Fused(NamedTuple):
    """A turn that was found.

    Attributes:
        position: Its place in the conversation.
        score: What it is ranked by.
    """

    position: int
    score: float


def combine_scores(
    positions: npt.NDArray[np.int64],
    cosines: npt.NDArray[np.floating],
    shares: npt.NDArray[np.float64],
    *,
    in_time: npt.NDArray[np.bool_] | None = None,
) -> list[Fused]:
    """Rank turns by the weighted sum of their two scores.

    Args:
        positions: The candidates of both rankings together, each once, of shape ``[n]``.
        cosines: The cosine of each with the question, -1 to 1, those included that only the words found.
        shares: The share of the question's information that each holds, 0 to 1: its BM25 score divided by the largest
            that any text could have; 0 for those that only the vectors found.
        in_time: Which are from the time that the question names; ``None`` when it names none.

    Returns:
        All candidates, the best first; of equal scores, the smaller position first.
    """
    scores = cosines + LEXICAL_WEIGHT * shares
    if in_time is not None:
        scores = scores + TIME_BOOST * in_time
    return _ranked(dict(zip(positions.tolist(), scores.tolist(), strict=True)))


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[int]], *, weights: Sequence[float] | None = None, k: float = RRF_K
) -> list[Fused]:
    """Rank what stands in any of several rankings by the sum of weight / (k + rank).

    Follows Cormack, Clarke and Büttcher, Reciprocal Rank Fusion Outperforms Condorcet and Individual Rank Learning
    Methods, SIGIR 2009. The result does not depend on the order of the rankings: the sums are exact before rounding.

    Args:
        rankings: Positions, the best first, each at most once in a ranking; ranks begin with 1.
        weights: What each ranking counts, none negative; ``None`` means 1 each.
        k: How little the first ranks differ; at least 0.

    Returns:
        The union of the rankings, the best first; of equal scores, the smaller position first.

    Raises:
        InvalidArgumentError: A position stands twice in a ranking, or weights or `k` are not as they must be.
    """
    given = [1.0] * len(rankings) if weights is None else list(weights)
    if len(given) != len(rankings) or not all(0 <= weight < math.inf for weight in given):
        raise InvalidArgumentError(f"Give one weight of at least 0 for each of {len(rankings)} rankings, found {given}")
    if not 0 <= k < math.inf:
        raise InvalidArgumentError(f"k must be a number from 0, found {k}")
    parts: dict[int, list[float]] = {}
    for ranking, weight in zip(rankings, given, strict=True):
        if len(set(ranking)) < len(ranking):
            raise InvalidArgumentError("A position stands twice in one ranking; rank each at most once")
        for rank, position in enumerate(ranking, start=1):
            parts.setdefault(position, []).append(weight / (k + rank))
    return _ranked({position: math.fsum(some) for position, some in parts.items()})


def _ranked(scores: dict[int, float]) -> list[Fused]:
    return sorted(map(Fused._make, scores.items()), key=lambda one: (-one.score, one.position))
