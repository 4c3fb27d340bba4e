"""Random negatives: from what the ranking leaves out, by keyed hash."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from ragtime.services.training_data_gen.mining.candidates import NOTHING
from ragtime.services.training_data_gen.mining.draws import KeyedDraws
from ragtime.services.training_data_gen.mining.task import Keys, Labels
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["Allowed", "RandomNegatives"]

Allowed: TypeAlias = "npt.NDArray[np.bool_]"

_TRIED = 8  # passages that are tried for each one wanted, before a query tries all
_LEAST_TRIED = 32


class RandomNegatives:
    """Draws passages for queries.

    All passages stand in one keyed order, and each query walks through it from a keyed place, so that it meets each
    passage once.
    """

    def __init__(self, passages: Labels, keys: Keys, *, seed: int) -> None:
        """Draw from `passages`, which keyed choices know by `keys`."""
        nothing = np.zeros(1, np.uint64)
        order = np.argsort(KeyedDraws(seed, "order").numbers(nothing, keys), kind="stable")
        self._passages = passages[order]
        self._places = KeyedDraws(seed, "random")

    def draw(self, query_keys: Keys, count: int, allowed: Callable[[Labels, Labels], Allowed]) -> Labels:
        """Draw for some queries.

        Args:
            query_keys: uint64 of shape ``[q]``.
            count: How many passages for each.
            allowed: Tells for the numbers of some of these queries, of shape ``[m, 1]``, and passages, of shape
                ``[m, t]``, which passages may be drawn.

        Returns:
            Positions of passages, of shape ``[q, count]``; :data:`NOTHING` where there are no more.
        """
        size = len(self._passages)
        if not count:
            return np.empty((len(query_keys), 0), np.int64)
        starts = (self._places.numbers(query_keys, np.zeros(1, np.uint64)) % np.uint64(size)).astype(np.int64)
        tried = min(size, max(_LEAST_TRIED, _TRIED * count))
        numbers = np.arange(len(query_keys))
        drawn = self._first(numbers, starts, tried, count, allowed)
        if tried < size:
            for number in np.flatnonzero(drawn[:, -1] == NOTHING):
                drawn[number] = self._first(numbers[[number]], starts, size, count, allowed)[0]
        return drawn

    def _first(
        self, numbers: Labels, starts: Labels, tried: int, count: int, allowed: Callable[[Labels, Labels], Allowed]
    ) -> Labels:
        passages = self._passages[(starts[numbers, None] + np.arange(tried)) % len(self._passages)]
        possible = allowed(numbers[:, None], passages)
        order = np.argsort(~possible, axis=1, kind="stable")[:, :count]
        first = np.where(np.take_along_axis(possible, order, 1), np.take_along_axis(passages, order, 1), NOTHING)
        return np.pad(first, ((0, 0), (0, count - first.shape[1])), constant_values=NOTHING)
