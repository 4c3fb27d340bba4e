"""BM25 as Lucene computes it, over whatever counted the stems.

The probabilistic model is that of Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009;
the variant is the one that Kamphuis et al., Which BM25 Do You Mean?, ECIR 2020, call Lucene. For each stem of a query,
as often as it stands there, a text scores ``idf * f / (f + k1 * (1 - b + b * length / average length))`` with ``idf =
ln(1 + (N - n + 0.5) / (n + 0.5))``, where `f` is how often it holds the stem, and `n` how many of the `N` texts do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragtime.records.conversation import LexicalScope
from ragtime.utils.extras import LazyModule
from ragtime.utils.stems import stems_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["K1", "LENGTH_WEIGHT", "LexicalScores", "bm25_from_scope", "bm25_scores", "stems_in"]

K1 = 1.2
"""How fast a further occurrence of a stem counts less: Lucene's default."""

LENGTH_WEIGHT = 0.75
"""How much longer texts count less, 0 to 1; the literature's b, Lucene's default."""


class LexicalScores(NamedTuple):
    """The BM25 scores of the texts that match a query.

    Attributes:
        positions: The texts that match, ascending; int64 of shape ``[n]``.
        values: Their scores, all above 0; float64 of shape ``[n]``.
        bound: What no score reaches: that of a text that holds nothing but the query, endlessly often. Stems that no
            text holds count, too, so that a query that is mostly unknown here has no high shares.
    """

    positions: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    bound: float

    def best(self, k: int) -> list[tuple[int, float]]:
        """Return the positions and scores of the `k` best, the best first; of equal scores, the smaller position."""
        values, positions = self.values, self.positions
        if 0 < k < len(values):
            # All that tie with the last one are kept until the order by position decides.
            kept = np.flatnonzero(values >= np.partition(values, len(values) - k)[len(values) - k])
            values, positions = values[kept], positions[kept]
        order = np.argsort(-values, kind="stable")[:k]
        return list(zip(positions[order].tolist(), values[order].tolist(), strict=True))

    def shares(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the share of the query's information that some texts hold.

        Args:
            positions: The texts, of shape ``[m]``, in any order.

        Returns:
            Score divided by bound, 0 to 1, of shape ``[m]``; 0 for a text that does not match.
        """
        if not len(self.positions):
            return np.zeros(len(positions))
        places = np.minimum(np.searchsorted(self.positions, positions), len(self.positions) - 1)
        found: npt.NDArray[np.float64] = np.where(self.positions[places] == positions, self.values[places], 0.0)
        return found / self.bound


def stems_in(text: str | Sequence[str]) -> Sequence[str]:
    """Return the stems of a text; a sequence is one of stems already, and returned as it is."""
    return stems_of(text) if isinstance(text, str) else text


def bm25_scores(
    counted: Mapping[str, int],
    frequencies: Mapping[str, npt.NDArray[np.float64]],
    positions: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.float64],
    count: int,
    average: float,
) -> LexicalScores:
    """Score texts that hold at least one of the query's stems.

    Args:
        counted: The query's stems, and how often each stands there.
        frequencies: For each stem that any text holds, how often each of the `n` texts does, of shape ``[n]``.
        positions: The texts, ascending, of shape ``[n]``.
        lengths: Their lengths in stems, of shape ``[n]``.
        count: How many texts there are, those that match nothing included.
        average: Mean length of all of them, in stems.

    Returns:
        The scores.
    """
    values = np.zeros(len(positions))
    bound = 0.0
    # Where no text is longer than 0 stems none matches, and the average is not used.
    saturation = K1 * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT / (average or 1.0) * lengths)
    for stem in sorted(counted):  # the order in which floats are added is part of a score
        found = frequencies.get(stem)
        holding = 0 if found is None else int(np.count_nonzero(found))
        weight = counted[stem] * math.log(1 + (count - holding + 0.5) / (holding + 0.5))
        bound += weight
        if found is not None:
            values += weight * (found / (found + saturation))
    return LexicalScores(positions, values, bound)


def bm25_from_scope(scope: LexicalScope, query: str | Sequence[str]) -> LexicalScores:
    """Score the turns that a store found.

    The scores are those, to the last bit, of a :class:`LexicalIndex` without weights over the same turns: neighbours
    are not counted, for the lengths of those that do not match are not known.

    Args:
        scope: What the store found for the query's stems.
        query: The query, or its stems; one that stands there twice counts twice.

    Returns:
        The scores; positions are places in ``scope.matches``.
    """
    counted = Counter(stems_in(query))
    places = np.arange(len(scope.matches))
    lengths = np.array([match.length for match in scope.matches], np.float64)
    frequencies = {
        stem: np.array([match.frequencies.get(stem, 0) for match in scope.matches], np.float64) for stem in counted
    }
    return bm25_scores(counted, frequencies, places, lengths, scope.turns, scope.stems / max(1, scope.turns))
