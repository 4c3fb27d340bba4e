"""Groups of near-duplicates: queries that ask the same in all but the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.services.training_data_gen.dedup.minhash import band_keys, bands_for, similarities, sketch
from ragtime.services.training_data_gen.dedup.shingles import (
    Offsets,
    ShingleSets,
    normalize_text,
    shingle_texts,
)
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["group_near_duplicates"]

_PAIRS = 4096  # that are verified at once


def group_near_duplicates(texts: Sequence[str], *, threshold: float = 0.8) -> Offsets:
    """Group texts by the connected components of their near-duplicates.

    Two texts are near-duplicates when they are equal but for case and spaces, or when the Jaccard similarity of their
    shingles, those of :func:`shingle_texts`, reaches the threshold. A group may hold texts that are less alike than
    that when others stand between them.

    Args:
        texts: The texts.
        threshold: The similarity, over 0 and at most 1.

    Returns:
        A number for each text, int64: the position of the first text of its group.
    """
    normal = [normalize_text(text) for text in texts]
    first: dict[str, int] = {}
    places = np.fromiter((first.setdefault(text, place) for place, text in enumerate(normal)), np.int64, len(normal))
    distinct = [text for text in first if text]
    sets = shingle_texts(distinct)
    roots = _Roots(len(distinct))
    if distinct:
        _connect(sets, roots, threshold)
    owner = np.fromiter((first[text] for text in distinct), np.int64, len(distinct))
    labels = np.arange(len(texts))
    labels[owner] = owner[roots.all()]
    return np.asarray(labels[places])


class _Roots:
    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, place: int) -> int:
        while self._parent[place] != place:
            self._parent[place] = self._parent[self._parent[place]]
            place = self._parent[place]
        return place

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low

    def all(self) -> Offsets:
        return np.fromiter(map(self.find, range(len(self._parent))), np.int64, len(self._parent))


def _connect(sets: ShingleSets, roots: _Roots, threshold: float) -> None:
    keys = band_keys(sets, bands_for(threshold))
    count, width = keys.shape
    entries = np.sort((keys.astype(np.int64) << 32).ravel() | np.repeat(np.arange(count), width))
    tried = np.empty(0, np.int64)
    # Neighbours in a bucket first, then the next but one, and so on: what is joined already needs no look, so that a
    # bucket of many near-duplicates costs as many comparisons as it has members, not their square.
    for step in range(1, len(entries)):
        current = roots.all()
        entries = _unsettled(entries, current)
        buckets, members = entries >> 32, entries & 0xFFFFFFFF
        same = np.flatnonzero(buckets[:-step] == buckets[step:])
        if not len(same):
            return
        same = same[current[members[same]] != current[members[same + step]]]
        pairs = _distinct(members[same] * count + members[same + step])
        pairs = pairs[tried[np.searchsorted(tried, pairs) % len(tried)] != pairs] if len(tried) else pairs
        tried = np.sort(np.concatenate([tried, pairs]))
        for start in range(0, len(pairs), _PAIRS):
            left, right = (some.tolist() for some in np.divmod(pairs[start : start + _PAIRS], count))
            alike = similarities([sketch(sets.of(one)) for one in left], [sketch(sets.of(one)) for one in right])
            for place in np.flatnonzero(alike >= threshold).tolist():
                roots.join(left[place], right[place])


def _distinct(values: Offsets) -> Offsets:
    """Sort, and leave out repeats; numpy's own looks them up in a hash table, which takes far longer here."""
    ranked = np.sort(values)
    return np.asarray(ranked[np.diff(ranked, prepend=-1) != 0])


def _unsettled(entries: Offsets, roots: Offsets) -> Offsets:
    """Leave out the buckets whose members are all in one group."""
    if not len(entries):
        return entries
    starts = np.flatnonzero(np.diff(entries >> 32, prepend=-1))
    own = roots[entries & 0xFFFFFFFF]
    mixed = np.minimum.reduceat(own, starts) != np.maximum.reduceat(own, starts)
    return np.asarray(entries[np.repeat(mixed, np.diff(starts, append=len(entries)))])
