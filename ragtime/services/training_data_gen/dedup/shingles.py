"""Texts as sets of hashed shingles."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from zlib import crc32

from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = [
    "Hashes",
    "Offsets",
    "ShingleSets",
    "distinct_sorted",
    "keep_apart",
    "normalize_text",
    "normalize_texts",
    "ranges",
    "shared_counts",
    "shingle_texts",
]

Hashes: TypeAlias = "npt.NDArray[np.uint32]"
Offsets: TypeAlias = "npt.NDArray[np.int64]"

WORDS = 5
"""Words of a shingle."""

CHARACTERS = 5
"""Characters of a shingle of a short text."""

SHORT = 4 * WORDS
"""Texts of fewer words are compared by characters: in a question, one other word would change most shingles of five."""

_CHUNK = 1 << 16  # characters that are hashed at once: the arrays for them stay in the cache
_BASE = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)
_ASCII = tuple(map(chr, range(128)))
_NORMAL = bytes(ord(" " if sign.isspace() else sign.lower()) for sign in _ASCII) + bytes(128)
_WORD_SIGNS = bytes(sign.isalnum() for sign in _ASCII) + b"\1" * 128  # whatever is no ASCII is part of a word
_MULTIPLIERS = tuple(pow(0xD1342543DE82EF95, power, 1 << 64) for power in range(1, max(WORDS, CHARACTERS) + 1))


class ShingleSets(NamedTuple):
    """The shingles of some texts.

    Attributes:
        hashes: The hashes of all texts, one text after the other; those of one text ascend, each once.
        offsets: Where those of each text begin, and where the last ones end; int64 of shape ``[n + 1]``.
    """

    hashes: Hashes
    offsets: Offsets

    def of(self, place: int) -> Hashes:
        """Return the hashes of one text."""
        return self.hashes[self.offsets[place] : self.offsets[place + 1]]

    def take(self, places: Offsets) -> ShingleSets:
        """Return the sets of some texts, which share no memory with these."""
        sizes = np.diff(self.offsets)[places]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        return ShingleSets(self.hashes[ranges(self.offsets[places], sizes)], offsets)


def normalize_text(text: str) -> str:
    """Bring a text to the form in which equal texts are equal: Unicode's NFKC, no case, single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.lower().split())


def normalize_texts(texts: Sequence[str]) -> list[str]:
    """Normalise many texts as :func:`normalize_text` does, those in ASCII all at once."""
    plain = [text for text in texts if text.isascii()]
    done = (text for chunk in _chunks(plain) for text in _normalize_plain(chunk))
    return [next(done) if text.isascii() else normalize_text(text) for text in texts]


def _normalize_plain(texts: Sequence[str]) -> Iterator[str]:
    joined = "".join(texts).encode("ascii").translate(_NORMAL)
    codes = np.frombuffer(joined, np.uint8)
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
    space = codes == ord(" ")
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    starts = starts[starts < len(codes)]
    surplus = space.copy()
    surplus[1:] &= space[:-1]
    surplus[starts] = space[starts]
    if surplus.any():
        joined = codes[~surplus].tobytes()
        ends = ends - np.concatenate([np.zeros(1, np.int64), np.cumsum(surplus)])[ends]
    whole, first = joined.decode("ascii"), 0
    for last in ends.tolist():
        yield whole[first : last - 1 if last > first and whole[last - 1] == " " else last]
        first = last


def shingle_texts(texts: Sequence[str]) -> ShingleSets:
    """Cut texts into shingles and hash them, all at once.

    A shingle is five words, without what stands between them; of texts with fewer than twenty words, five characters.
    The hash of a word is a polynomial in its characters modulo 2**64, taken from running sums, and that of a shingle
    mixes those of its parts (SplitMix64) down to 32 bits.

    Args:
        texts: Normalised texts.

    Returns:
        Their shingles; a text without a letter or digit is taken by its characters, and an empty one has none.
    """
    sizes, parts = [np.zeros(1, np.int64)], []
    for chunk in _chunks(texts):
        hashes, owners = _hash_chunk(chunk)
        keys = np.sort((owners << 32) | hashes.astype(np.int64))
        keys = keys[np.flatnonzero(np.diff(keys, prepend=-1))]
        parts.append((keys & 0xFFFFFFFF).astype(np.uint32))
        sizes.append(np.bincount(keys >> 32, minlength=len(chunk)).astype(np.int64))
    return ShingleSets(np.concatenate([np.empty(0, np.uint32), *parts]), np.cumsum(np.concatenate(sizes)))


def keep_apart(sets: ShingleSets, scopes: Sequence[str]) -> ShingleSets:
    """Change the hashes of each text by its scope, so that texts of different scopes share hardly any.

    Args:
        sets: The shingles of some texts.
        scopes: The scope of each.

    Returns:
        Sets of the same sizes, with which texts of one scope are as similar as before.
    """
    salts = np.fromiter((crc32(scope.encode("utf-8", "surrogatepass")) for scope in scopes), np.uint64, len(scopes))
    owners = np.repeat(np.arange(len(scopes)), np.diff(sets.offsets))
    changed = _fold(sets.hashes.astype(np.uint64) | (salts[owners] << np.uint64(32)))
    return ShingleSets(
        (np.sort((owners << 32) | changed.astype(np.int64)) & 0xFFFFFFFF).astype(np.uint32), sets.offsets
    )


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    first, length = 0, 0
    for place, text in enumerate(texts):
        if length and length + len(text) > _CHUNK:
            yield texts[first:place]
            first, length = place, 0
        length += len(text) + 1
    if first < len(texts):
        yield texts[first:]


def _hash_chunk(texts: Sequence[str]) -> tuple[Hashes, Offsets]:
    # A line break before each text and one at the end, so that each run of word signs begins and ends in the array.
    joined = "\n".join(["", *texts, ""])
    codes: npt.NDArray[np.uint8] | Hashes
    if joined.isascii():
        plain = joined.encode("ascii")
        codes = np.frombuffer(plain, np.uint8)
        is_word = np.frombuffer(plain.translate(_WORD_SIGNS), np.bool_)
    else:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)
        is_word = np.frombuffer(_WORD_SIGNS, np.bool_)[np.minimum(codes, len(_ASCII))]
    ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)) + 1)
    words, counts = _word_hashes(codes, is_word, ends)
    owners = np.repeat(np.arange(len(texts)), counts)
    short = counts < SHORT
    found = [_windows(words, owners, WORDS, ~short[owners])]
    if short.any():
        sizes = np.diff(ends, prepend=0)[short] - 1  # without the line breaks after the texts
        characters = _mix(codes[ranges(ends[short] - sizes, sizes)].astype(np.uint64))
        owner_of_codes = np.repeat(np.flatnonzero(short), sizes)
        found.append(_windows(characters, owner_of_codes, CHARACTERS, np.ones(len(characters), np.bool_)))
        found.append(_whole(characters, np.flatnonzero(short), sizes))
    hashes, of = zip(*found, strict=True)
    return np.concatenate(hashes), np.concatenate(of)


def _word_hashes(
    codes: npt.NDArray[np.uint8] | Hashes, is_word: npt.NDArray[np.bool_], ends: Offsets
) -> tuple[npt.NDArray[np.uint64], Offsets]:
    """Return the hashes of the words of all texts, and how many each text has."""
    edges = np.flatnonzero(is_word[1:] != is_word[:-1]) + 1
    starts, stops = edges[::2], edges[1::2]
    powers, inverses = (_powers(base, 1 << len(codes).bit_length())[: len(codes)] for base in (_BASE, _INVERSE))
    sums = codes * powers
    np.cumsum(sums, out=sums)  # no word begins at 0: there is always a sum before it
    hashes = _mix((sums[stops - 1] - sums[starts - 1]) * inverses[starts] + (stops - starts).astype(np.uint64))
    return hashes, np.diff(np.searchsorted(starts, ends), prepend=0)


@functools.lru_cache(maxsize=4)
def _powers(base: int, count: int) -> npt.NDArray[np.uint64]:
    return np.cumprod(np.concatenate([np.ones(1, np.uint64), np.full(count - 1, base, np.uint64)]), dtype=np.uint64)


def _windows(
    units: npt.NDArray[np.uint64], owners: Offsets, size: int, wanted: npt.NDArray[np.bool_]
) -> tuple[Hashes, Offsets]:
    count = max(0, len(units) - size + 1)
    total = np.zeros(count, np.uint64)
    for place in range(size):
        total += units[place : place + count] * np.uint64(_MULTIPLIERS[place])
    inside = (owners[:count] == owners[size - 1 :]) & wanted[:count] if count else np.zeros(0, np.bool_)
    return _fold(total[inside]), owners[:count][inside]


def _whole(units: npt.NDArray[np.uint64], owners: Offsets, sizes: Offsets) -> tuple[Hashes, Offsets]:
    """Take texts of fewer characters than a shingle as one."""
    tiny = np.flatnonzero((sizes > 0) & (sizes < CHARACTERS))
    totals = [
        sum(int(unit) * factor for unit, factor in zip(units[end - size : end].tolist(), _MULTIPLIERS, strict=False))
        for end, size in zip(np.cumsum(sizes)[tiny].tolist(), sizes[tiny].tolist(), strict=True)
    ]
    return _fold(np.array([total % (1 << 64) for total in totals], np.uint64)), owners[tiny]


def _fold(values: npt.NDArray[np.uint64]) -> Hashes:
    return (_mix(values) >> np.uint64(32)).astype(np.uint32)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def ranges(starts: Offsets, sizes: Offsets) -> Offsets:
    """Return the numbers of some ranges, one range after the other."""
    return np.arange(sizes.sum()) + np.repeat(starts - np.cumsum(sizes) + sizes, sizes)


def distinct_sorted(values: Offsets) -> Offsets:
    """Sort numbers from 0, and leave out repeats; numpy's own looks them up in a hash table, which takes longer."""
    ranked = np.sort(values)
    return np.asarray(ranked[np.diff(ranked, prepend=-1) != 0])


def shared_counts(first: list[Hashes], second: list[Hashes]) -> Offsets:
    """Count what pairs of sets share.

    Args:
        first: One set of each pair, ascending.
        second: The other.

    Returns:
        The size of the intersection of each pair, int64.
    """
    pairs = [*first, *second]
    sizes = np.fromiter(map(len, pairs), np.int64, len(pairs))
    numbers = np.repeat(np.arange(len(pairs)) % max(1, len(first)), sizes)
    keys = np.sort((numbers << 32) | np.concatenate([np.empty(0, np.uint32), *pairs]).astype(np.int64))
    twice = keys[1:][keys[1:] == keys[:-1]]
    return np.bincount(twice >> 32, minlength=len(first)).astype(np.int64)
