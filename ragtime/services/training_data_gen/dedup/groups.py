"""Groups of near-duplicates: queries that ask the same in all but the same words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.services.training_data_gen.dedup.bitmaps import Bitmaps
from ragtime.services.training_data_gen.dedup.buckets import buckets_of, is_indexed, members_of, shared_entries
from ragtime.services.training_data_gen.dedup.minhash import similarities, sketches_of
from ragtime.services.training_data_gen.dedup.shingles import (
    Offsets,
    ShingleSets,
    distinct_sorted,
    normalize_texts,
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
    that when others stand between them. Of pairs just at the threshold, one in 200 may be missed.

    Args:
        texts: The texts.
        threshold: The similarity, over 0 and at most 1.

    Returns:
        A number for each text, int64: the position of the first text of its group.
    """
    normal = normalize_texts(texts)
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
    order = np.argsort(np.diff(sets.offsets), kind="stable")  # members of buckets are numbered by size from here on
    sets, count = sets.take(order), len(order)
    sketches = sketches_of(sets)
    entries = shared_entries(sets, threshold)
    bitmaps, tried = Bitmaps(sets), np.empty(0, np.int64)  # pairs, each in one number, ascending
    current, joins = np.arange(count), 0
    # Neighbours in a bucket first, then the next but one, and so on: what is joined already needs no look, so that a
    # bucket of many near-duplicates costs as many comparisons as it has members, not their square.
    for step in range(1, len(entries)):
        if joins:
            current, joins = roots.all()[order], 0
            entries = _unsettled(entries, current)
        buckets, members = buckets_of(entries), members_of(entries)
        same = np.flatnonzero(buckets[:-step] == buckets[step:])
        if not len(same):
            return
        same = same[is_indexed(entries[same]) & (current[members[same]] != current[members[same + step]])]
        same = same[bitmaps.may_reach(members[same], members[same + step], threshold)]
        numbers = distinct_sorted(members[same] * count + members[same + step])
        places = np.searchsorted(tried, numbers)
        new = np.append(tried, -1)[places] != numbers
        tried, numbers = np.insert(tried, places[new], numbers[new]), numbers[new]
        for start in range(0, len(numbers), _PAIRS):
            smaller, larger = np.divmod(numbers[start : start + _PAIRS], count)
            scores = similarities(list(map(sketches.of, smaller.tolist())), list(map(sketches.of, larger.tolist())))
            alike = scores >= threshold
            joins += int(alike.sum())
            for one, other in zip(order[smaller[alike]].tolist(), order[larger[alike]].tolist(), strict=True):
                roots.join(one, other)


def _unsettled(entries: Offsets, roots: Offsets) -> Offsets:
    """Leave out the buckets whose members are all in one group."""
    starts = np.flatnonzero(np.diff(buckets_of(entries), prepend=-1))
    own = roots[members_of(entries)]
    mixed = np.minimum.reduceat(own, starts) != np.maximum.reduceat(own, starts)
    return np.asarray(entries[np.repeat(mixed, np.diff(starts, append=len(entries)))])
