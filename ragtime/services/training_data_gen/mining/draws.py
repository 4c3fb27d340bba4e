"""Choices by keyed hash: the same for a query and a passage whatever else is mined, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragtime.services.training_data_gen.mining.task import Keys
from ragtime.utils.extras import LazyModule
from ragtime.utils.hashing import keyed_seed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["KeyedDraws"]

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


class KeyedDraws:
    """Numbers that are fixed by a seed, a purpose, and the keys of a query and a passage.

    They are those of SplitMix64 (Steele, Lea and Flood, 2014), applied to one key after the other, so that whole arrays
    are hashed at once; seed and purpose come in by :func:`~ragtime.utils.hashing.keyed_seed`.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        """Draw for one purpose of a run with `seed`."""
        self._start = np.uint64(keyed_seed(seed, "mining", purpose))

    def numbers(self, first: Keys, second: Keys) -> Keys:
        """Return a number for each pair of keys, uint64, of the shape that both broadcast to."""
        return _mix(_mix(first ^ self._start) ^ second)


def _mix(values: Keys) -> Keys:
    mixed: npt.NDArray[np.uint64] = values + np.uint64(_GOLDEN)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_FIRST)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_SECOND)
    return mixed ^ (mixed >> np.uint64(31))
