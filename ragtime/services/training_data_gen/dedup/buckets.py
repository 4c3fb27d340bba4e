"""Buckets of texts that may be alike: by bands of signatures and, where those are crowded, by rare shingles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragtime.services.training_data_gen.dedup.minhash import band_keys, bands_for
from ragtime.services.training_data_gen.dedup.shingles import Offsets, ShingleSets, ranges
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["buckets_of", "is_indexed", "members_of", "shared_entries"]

_CROWD = 8  # members from which on a bucket is cut up by rare shingles
_ROUNDING = 1e-6  # more than a product of a threshold and a size can be off
_MEMBER = 0xFFFFFFFF


def shared_entries(sets: ShingleSets, threshold: float) -> Offsets:
    """Put texts into buckets, so that nearly all pairs that reach the threshold share one.

    A bucket is a band of the signatures. Texts made by one template share bands by the thousand without being alike;
    those of crowded buckets are put into buckets of single shingles instead, by prefix filtering (Chaudhuri et al.,
    2006; Xiao et al., 2008): of two sets that share enough, the rarest shingles have one in common, so few shingles of
    each need a look, and those of the template are not among them. That misses no pair.

    Args:
        sets: Shingles of texts, in the order of their sizes; none is empty.
        threshold: The Jaccard similarity.

    Returns:
        Ascending entries of members in buckets, int64; see :func:`buckets_of`, :func:`members_of` and
        :func:`is_indexed`. Buckets of one member are left out.
    """
    keys = band_keys(sets, bands_for(threshold))
    count, width = keys.shape
    entries = np.sort(_packed(keys.ravel(), np.repeat(np.arange(count), width), np.ones(keys.size, np.bool_)))
    entries, lengths = _in_company(entries)
    crowded = lengths > _CROWD
    if not crowded.any():
        return entries
    rare = _by_rare_shingles(np.unique(members_of(entries[crowded])), sets, threshold)
    return np.sort(np.concatenate([entries[~crowded], _in_company(rare)[0]]))


def buckets_of(entries: Offsets) -> Offsets:
    """Return the bucket of each entry, a number from 0."""
    return entries >> 32


def members_of(entries: Offsets) -> Offsets:
    """Return the place of the text of each entry."""
    return (entries & _MEMBER) >> 1


def is_indexed(entries: Offsets) -> npt.NDArray[np.bool_]:
    """Return for each entry whether its text is to be compared with larger ones in the bucket."""
    return (entries & 1).astype(np.bool_)


def _packed(keys: npt.NDArray[np.uint32], members: Offsets, indexed: npt.NDArray[np.bool_]) -> Offsets:
    return (keys.astype(np.int64) >> 1 << 32) | (members << 1) | indexed


def _in_company(entries: Offsets) -> tuple[Offsets, Offsets]:
    """Leave out buckets in which nothing is to be compared, and return for each entry how many are in its bucket."""
    if not len(entries):
        return entries, entries
    starts = np.flatnonzero(np.diff(buckets_of(entries), prepend=-1))
    lengths = np.diff(starts, append=len(entries))
    useful = (lengths > 1) & np.bitwise_or.reduceat(entries & 1, starts).astype(np.bool_)
    each = np.repeat(lengths, lengths)
    useful_each = np.repeat(useful, lengths)
    return entries[useful_each], each[useful_each]


def _by_rare_shingles(texts: Offsets, sets: ShingleSets, threshold: float) -> Offsets:
    some = sets.take(texts)
    sizes = np.diff(some.offsets)
    values, kinds, counts = np.unique(some.hashes, return_inverse=True, return_counts=True)
    ranks = np.empty(len(values), np.int64)
    by_count = np.argsort(counts, kind="stable")
    ranks[by_count] = np.arange(len(values))
    owners = np.repeat(np.arange(len(texts)), sizes)
    ranked = np.sort((owners << 32) | ranks[kinds.ravel()]) & _MEMBER  # of each text, the rarest first
    # Two sets of a similarity t share t of the larger one, and so 2t / (1 + t) of the smaller one. What is left of a
    # set without so many, and one more, has one of those that they share.
    looked_up = sizes - np.ceil(threshold * sizes - _ROUNDING).astype(np.int64) + 1
    indexed = sizes - np.ceil(2 * threshold / (1 + threshold) * sizes - _ROUNDING).astype(np.int64) + 1
    places = ranges(some.offsets[:-1], looked_up)
    owners = np.repeat(np.arange(len(texts)), looked_up)
    shingles = values[by_count[ranked[places]]]
    return np.sort(_packed(shingles, texts[owners], places - some.offsets[owners] < indexed[owners]))
