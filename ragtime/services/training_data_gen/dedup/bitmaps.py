"""Bitmaps of sets, which rule out most pairs that are nearly, but not quite, alike enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragtime.services.training_data_gen.dedup.shingles import Offsets, ShingleSets
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["Bitmaps"]

_BITS = 512
_WORD = 16
_PAIRS = 1 << 14  # that are looked at at once: their words stay in the cache
_TEXTS = 1 << 12  # whose bits are set at once
_ROUNDING = 1e-6  # more than what a similarity asks for can be off


class Bitmaps:
    """A bit for the hashes of a set that agree in their last bits.

    Each bit in which two bitmaps differ stands for a hash that only one of the sets has (Sandes et al., 2020), which
    costs a hundredth of comparing the sets.
    """

    def __init__(self, sets: ShingleSets) -> None:
        """Make the bitmaps of some sets."""
        self._sizes = np.diff(sets.offsets)
        self._words = np.empty((len(self._sizes), _BITS // _WORD), np.uint16)
        for first in range(0, len(self._sizes), _TEXTS):
            last = min(first + _TEXTS, len(self._sizes))
            bits = np.zeros((last - first, _BITS), np.bool_)
            hashes = sets.hashes[sets.offsets[first] : sets.offsets[last]]
            bits[np.repeat(np.arange(last - first), self._sizes[first:last]), hashes % _BITS] = True
            self._words[first:last] = np.packbits(bits, axis=1).view(np.uint16)
        self._ones = np.zeros(1 << _WORD, np.uint8)
        for bit in range(_WORD):
            self._ones += (np.arange(1 << _WORD) >> bit & 1).astype(np.uint8)

    def may_reach(self, first: Offsets, second: Offsets, threshold: float) -> npt.NDArray[np.bool_]:
        """Rule pairs out.

        Args:
            first: The place of one set of each pair.
            second: That of the other.
            threshold: A Jaccard similarity.

        Returns:
            ``False`` for pairs that surely do not reach it; all that do have ``True``.
        """
        most = (1 - threshold) / (1 + threshold) * (self._sizes[first] + self._sizes[second]) + _ROUNDING
        found = np.empty(len(first), np.bool_)
        for start in range(0, len(first), _PAIRS):
            some = slice(start, start + _PAIRS)
            differing = self._ones[self._words[first[some]] ^ self._words[second[some]]].sum(axis=1, dtype=np.int64)
            found[some] = differing <= most[some]
        return found
