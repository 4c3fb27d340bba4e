"""What deduplication costs beside datasketch, and how much of what brute force finds it finds."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ragtime.services.training_data_gen.dedup import DedupIndex, Duplicate
from ragtime.services.training_data_gen.dedup.minhash import band_keys, bands_for
from ragtime.services.training_data_gen.dedup.runs import Entries, entries_of, find_rows, merge_runs
from ragtime.services.training_data_gen.dedup.shingles import WORDS, ShingleSets, normalize_text, shingle_texts
from ragtime.utils.files import read_jsonl

THRESHOLD = 0.8
_BANDS = bands_for(THRESHOLD)
_PERMUTATIONS = _BANDS.number * _BANDS.rows  # datasketch's are as many as ours: fewer, and faster, than its default
_AT_ONCE = 1024


def passages_of(folders: Sequence[Path]) -> list[str]:
    """Read the passages of retrieval sets."""
    return [str(row["text"]) for folder in folders for _, row in read_jsonl(folder / "corpus.jsonl")]


def with_copies(passages: Sequence[str], count: int, *, seed: int = 7) -> list[str]:
    """Add to every third passage a copy with up to 6 % of its words changed.

    Args:
        passages: The passages.
        count: How many texts; passages are taken again, with all words changed, when there are too few.
        seed: Seed of the changes.

    Returns:
        The texts, shuffled.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    texts: list[str] = []
    while len(texts) < count:
        for passage in passages:
            words = passage.split()
            changed = 0.0 if len(texts) < len(passages) else 1.0
            texts.append(_changed(words, changed, rng))
            if rng.random() < 1 / 3:
                texts.append(_changed(texts[-1].split(), rng.uniform(0, 0.06), rng))
    texts = texts[:count]
    rng.shuffle(texts)
    return texts


def _changed(words: list[str], share: float, rng: random.Random) -> str:
    some = list(words)
    for place in rng.sample(range(len(some)), round(share * len(some))):
        some[place] = f"word{rng.randrange(100_000)}"
    return " ".join(some)


# --- texts per second -----------------------------------------------------------------------------------------------


def ours_given_shingles(sets: ShingleSets) -> float:
    """Return texts per second: signatures, look-up among all earlier ones, insertion."""
    runs, count = list[Entries](), len(sets.offsets) - 1
    start = time.perf_counter()
    for first in range(0, count, _AT_ONCE):
        last = min(first + _AT_ONCE, count)
        some = ShingleSets(
            sets.hashes[sets.offsets[first] : sets.offsets[last]],
            sets.offsets[first : last + 1] - sets.offsets[first],
        )
        keys = band_keys(some, _BANDS)
        find_rows(runs, keys)
        runs = merge_runs([*runs, entries_of(keys, np.arange(first, last))])
    return count / (time.perf_counter() - start)


def datasketch_given_shingles(sets: ShingleSets) -> float:
    """Return texts per second: signatures in bulk, a query and an insertion for each."""
    from datasketch import MinHash, MinHashLSH

    shingles = [sets.of(place).tolist() for place in range(len(sets.offsets) - 1)]
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=_PERMUTATIONS)
    start = time.perf_counter()
    for place, signature in enumerate(MinHash.bulk(shingles, num_perm=_PERMUTATIONS, hashfunc=int)):
        lsh.query(signature)
        lsh.insert(place, signature)
    return len(shingles) / (time.perf_counter() - start)


def ours_end_to_end(texts: Sequence[str], *, batch: int = 10_000, folder: Path | None = None) -> float:
    """Return texts per second of an index in memory, or in a folder, verified similarities included."""
    index = DedupIndex(threshold=THRESHOLD) if folder is None else DedupIndex.open(folder, threshold=THRESHOLD)
    with index:
        start = time.perf_counter()
        for first in range(0, len(texts), batch):
            index.add([(str(first + place), text) for place, text in enumerate(texts[first : first + batch])])
        return len(texts) / (time.perf_counter() - start)


def datasketch_end_to_end(texts: Sequence[str]) -> float:
    """Return texts per second: words, shingles of five, signatures in bulk, and an index that keeps the first."""
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=_PERMUTATIONS)
    start = time.perf_counter()
    shingles = []
    for text in texts:
        words = normalize_text(text).split()
        some = {" ".join(words[place : place + WORDS]) for place in range(max(1, len(words) - WORDS + 1))}
        shingles.append([one.encode() for one in some])
    for place, signature in enumerate(MinHash.bulk(shingles, num_perm=_PERMUTATIONS)):
        if not lsh.query(signature):
            lsh.insert(place, signature)
    return len(texts) / (time.perf_counter() - start)


# --- quality and room -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """How deduplication compares with brute force.

    Attributes:
        pairs: Pairs of at least the threshold, by comparing all with all.
        duplicates: What was called a duplicate.
        precision: Share of it whose keeper it is truly like.
        recall: Share of the pairs of which not both were kept.
        bytes_each: Disk space for each text that was kept.
    """

    pairs: int
    duplicates: int
    precision: float
    recall: float
    bytes_each: float


def against_brute_force(texts: Sequence[str]) -> Found:
    """Deduplicate, and compare all texts with all others by their whole sets of shingles."""
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as holder:
        folder = Path(holder) / "index"
        with DedupIndex.open(folder, threshold=THRESHOLD) as index:
            found = index.add([(str(place), text) for place, text in enumerate(texts)])
            kept = len(index)
        room = sum(file.stat().st_size for file in folder.iterdir())
    pairs = _brute_force(shingle_texts([normalize_text(text) for text in texts]))
    duplicates = [one for one in found if isinstance(one, Duplicate)]
    right = sum((min(a, b), max(a, b)) in pairs for a, b in ((int(one.id), int(one.of)) for one in duplicates))
    dropped = {int(one.id) for one in duplicates}
    missed = sum(a not in dropped and b not in dropped for a, b in pairs)
    return Found(len(pairs), len(duplicates), right / len(duplicates), 1 - missed / len(pairs), room / kept)


def _brute_force(sets: ShingleSets) -> set[tuple[int, int]]:
    from scipy.sparse import csr_matrix

    _, columns = np.unique(sets.hashes, return_inverse=True)
    rows = csr_matrix((np.ones(len(columns), np.int32), columns.reshape(-1), sets.offsets))
    sizes = np.diff(sets.offsets)
    pairs: set[tuple[int, int]] = set()
    for first in range(0, rows.shape[0], _AT_ONCE):
        shared = (rows[first : first + _AT_ONCE] @ rows.T).tocoo()
        one, other = shared.row + first, shared.col
        alike = (one < other) & (shared.data >= THRESHOLD * (sizes[one] + sizes[other] - shared.data))
        pairs.update(zip(one[alike].tolist(), other[alike].tolist(), strict=True))
    return pairs
