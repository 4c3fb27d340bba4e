"""MinHash signatures cut into bands, and the Jaccard similarity that verifies what they find."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ragtime.services.training_data_gen.dedup.shingles import Hashes, ShingleSets, shared_counts
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["KEPT_HASHES", "Bands", "band_keys", "bands_for", "similarities", "sketches_of"]

KEPT_HASHES = 192
"""Hashes that are kept of a text, the least ones: all of a text of up to 196 words, else a sample of its shingles."""

_RECALL = 0.995  # of pairs whose similarity is just the threshold
_ROWS = ((0.75, 5), (0.55, 4), (0.4, 3), (0.0, 2))  # by threshold: at a quarter of it, few texts become candidates
_SEED = 0x5DEECE66D
_TEXTS = 512  # whose signatures are computed at once


class Bands(NamedTuple):
    """How a signature is cut.

    Attributes:
        number: How many bands; texts that agree in one are candidates.
        rows: Values in a band.
    """

    number: int
    rows: int


def bands_for(threshold: float) -> Bands:
    """Choose as many bands as miss at most one in 200 pairs of a similarity of `threshold`.

    Two texts of similarity s agree in a band of r values with the probability s**r (Broder, 1997; Indyk and Motwani,
    1998). Candidates are verified, so that bands are shorter, and fewer, than those of indexes that trust them.
    """
    rows = next(rows for least, rows in _ROWS if threshold >= least)
    missed = 1 - threshold**rows
    return Bands(max(1, math.ceil(math.log(1 - _RECALL) / math.log(missed))) if missed else 1, rows)


def band_keys(sets: ShingleSets, bands: Bands) -> Hashes:
    """Hash the bands of MinHash signatures.

    The signatures are computed here, for rensa gives them as lists of numbers only: with those turned into arrays it
    took three times as long.

    Args:
        sets: Shingles of texts, none of which is empty.
        bands: How signatures are cut.

    Returns:
        uint32 of shape ``[n, bands.number]``; different bands of equal values have different keys.
    """
    size = bands.number * bands.rows
    factors = np.random.Generator(np.random.PCG64(_SEED)).integers(0, 1 << 32, (2, size), dtype=np.uint32)
    factors[0] |= np.uint32(1)
    count = len(sets.offsets) - 1
    least = np.empty((size, count), np.uint32)
    for first in range(0, count, _TEXTS):
        last = min(first + _TEXTS, count)
        begin, end = sets.offsets[first], sets.offsets[last]
        hashes, starts = sets.hashes[begin:end], sets.offsets[first:last] - begin
        permuted = np.empty_like(hashes)
        for place in range(size):
            np.multiply(hashes, factors[0, place], out=permuted)
            np.add(permuted, factors[1, place], out=permuted)
            np.minimum.reduceat(permuted, starts, out=least[place, first:last])
    keys = np.repeat(np.arange(1, bands.number + 1, dtype=np.uint64)[:, None], count, axis=1)
    for values in least.reshape(bands.number, bands.rows, count).transpose(1, 0, 2):
        keys = (keys ^ values) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return np.ascontiguousarray((keys >> np.uint64(32)).astype(np.uint32).T)


def sketches_of(sets: ShingleSets) -> ShingleSets:
    """Return the least hashes of each set, which stand for it."""
    sizes = np.diff(sets.offsets)
    if not len(sizes) or sizes.max() <= KEPT_HASHES:
        return sets
    ranks = np.arange(len(sets.hashes)) - np.repeat(sets.offsets[:-1], sizes)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.minimum(sizes, KEPT_HASHES))])
    return ShingleSets(sets.hashes[ranks < KEPT_HASHES], offsets)


def similarities(first: list[Hashes], second: list[Hashes]) -> npt.NDArray[np.float64]:
    """Compute Jaccard similarities of pairs of sketches.

    They are exact where both hold whole sets. Else they are those of all hashes up to the largest that both samples
    cover, an estimate with a standard error of at most 0.04.

    Args:
        first: One sketch of each pair.
        second: The other.

    Returns:
        The similarities; 0 where both sets are empty.
    """
    ours, theirs = [], []
    for one, other in zip(first, second, strict=True):
        ends = [some[-1] for some in (one, other) if len(some) >= KEPT_HASHES]
        limit = min(ends) if ends else None
        ours.append(one if limit is None else one[: np.searchsorted(one, limit, side="right")])
        theirs.append(other if limit is None else other[: np.searchsorted(other, limit, side="right")])
    shared = shared_counts(ours, theirs)
    sizes = np.fromiter(map(len, ours), np.int64, len(ours)) + np.fromiter(map(len, theirs), np.int64, len(theirs))
    return np.asarray(shared / np.maximum(1, sizes - shared))
