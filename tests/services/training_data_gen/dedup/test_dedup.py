"""Duplicates against brute force, their keepers, and an index that rests in a folder."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ragtime.errors import BackendError, InvalidArgumentError, StorageError
from ragtime.protocols import TextRole
from ragtime.services.training_data_gen.dedup import DedupIndex, Duplicate, Kept, group_near_duplicates
from ragtime.services.training_data_gen.dedup.shingles import normalize_text, shingle_texts
from ragtime.testing import HashEncoder
from tests.services.training_data_gen.dedup.texts import real_texts, with_copies

THRESHOLD = 0.8


def jaccard_pairs(texts: Sequence[str], threshold: float) -> set[tuple[int, int]]:
    """Find all pairs of at least this similarity, by comparing all with all."""
    sets = shingle_texts([normalize_text(text) for text in texts])
    sizes = np.diff(sets.offsets)
    columns: dict[int, list[int]] = {}
    shared: dict[tuple[int, int], int] = {}
    for place in range(len(texts)):
        for one in sets.of(place).tolist():
            for other in columns.setdefault(one, []):
                shared[other, place] = shared.get((other, place), 0) + 1
            columns[one].append(place)
    return {pair for pair, both in shared.items() if both / (sizes[pair[0]] + sizes[pair[1]] - both) >= threshold}


def items(texts: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"t{place}", text) for place, text in enumerate(texts)]


def test_precision_and_recall_against_brute_force() -> None:
    texts = with_copies(1_200, seed=1)
    pairs = jaccard_pairs(texts, THRESHOLD)
    near = {one for pair in pairs for one in pair}
    assert len(near) > 500
    found = DedupIndex(threshold=THRESHOLD).add(items(texts))
    duplicates = [one for one in found if isinstance(one, Duplicate)]
    right = [tuple(sorted((int(one.id[1:]), int(one.of[1:])))) in pairs for one in duplicates]
    assert np.mean(right) >= 0.95
    kept = {int(one.id[1:]) for one in found if isinstance(one, Kept)}
    left = sum(first in kept and second in kept for first, second in pairs)  # pairs that both stayed
    assert left <= 0.05 * len(pairs)
    assert len(kept) + len(duplicates) == len(texts)


def test_groups_are_the_components_of_brute_force() -> None:
    texts = with_copies(500, seed=2)
    groups = group_near_duplicates(texts, threshold=THRESHOLD)
    expected = list(range(len(texts)))
    for first, second in sorted(jaccard_pairs(texts, THRESHOLD)):
        low, high = sorted((expected[first], expected[second]))
        expected = [low if group == high else group for group in expected]
    assert np.mean(groups == expected) >= 0.98


def test_many_copies_of_one_text_make_one_group() -> None:
    text = real_texts(1)[0]
    groups = group_near_duplicates([f"{text} {number}" for number in range(3_000)] + ["something else"])
    assert set(groups.tolist()) == {0, 3_000}


def test_queries_that_differ_in_a_sign_are_one_group() -> None:
    queries = ["How do I reset it?", "how do I reset it", "How do I  reset it ?", "Where is the key?", "", " "]
    assert group_near_duplicates(queries, threshold=0.7).tolist() == [0, 0, 0, 3, 4, 4]
    assert group_near_duplicates([]).tolist() == []


def test_each_rung_tells_the_keeper_and_the_similarity() -> None:
    text = " ".join(f"word{number}" for number in range(100))
    changed = text.replace("word50", "other")
    index = DedupIndex()
    assert index.add([("a", text)]) == [Kept("a")]
    found = index.add([("b", text.upper()), ("c", changed), ("d", "a text of its own")])
    assert found[0] == Duplicate("b", "a", "exact", 1.0)
    assert found[1] == Duplicate("c", "a", "minhash", 91 / 101)
    assert found[2] == Kept("d")
    assert len(index) == 2
    assert index.batches == 2


def test_the_order_within_a_batch_changes_nothing() -> None:
    batch = items(with_copies(300, seed=3))
    shuffled = random.Random(0).sample(batch, len(batch))  # noqa: S311 - repeatable on purpose
    found = {one.id: one for one in DedupIndex().add(batch)}
    other = DedupIndex().add(shuffled)
    assert [one.id for one in other] == [one for one, _ in shuffled]
    assert {one.id: one for one in other} == found


def one_after_the_other(batches: Sequence[Sequence[tuple[str, str]]], threshold: float) -> list[Kept | Duplicate]:
    """Deduplicate distinct texts as the documentation says, by comparing each with all that are kept."""
    kept: list[tuple[str, frozenset[int]]] = []
    found: list[Kept | Duplicate] = []
    for batch in batches:
        sets = shingle_texts([normalize_text(text) for _, text in batch])
        digests = [hashlib.blake2b(normalize_text(text).encode(), digest_size=16).digest() for _, text in batch]
        verdicts: dict[int, Kept | Duplicate] = {}
        for place in sorted(range(len(batch)), key=digests.__getitem__):
            own = frozenset(sets.of(place).tolist())
            scores = [len(own & other) / len(own | other) for _, other in kept]
            if scores and max(scores) >= threshold:
                best = scores.index(max(scores))
                verdicts[place] = Duplicate(batch[place][0], kept[best][0], "minhash", scores[best])
            else:
                kept.append((batch[place][0], own))
                verdicts[place] = Kept(batch[place][0])
        found += [verdicts[place] for place in range(len(batch))]
    return found


@pytest.mark.parametrize("persistent", [False, True])
def test_many_alike_are_judged_one_after_the_other(tmp_path: Path, *, persistent: bool) -> None:
    rng = random.Random(8)  # noqa: S311 - repeatable on purpose
    words = [f"word{number}" for number in range(60)]
    changed = [{rng.randrange(60) for _ in range(rng.randrange(4))} for _ in range(500)]
    texts = [
        " ".join(f"new{rng.randrange(3)}" if place in some else word for place, word in enumerate(words))
        for some in changed
    ]
    texts = list(dict.fromkeys(texts))
    batches = [items(texts)[:260], items(texts)[260:]]
    expected = one_after_the_other(batches, 0.7)
    assert sum(isinstance(one, Duplicate) for one in expected) > 100
    with DedupIndex.open(tmp_path / "index", threshold=0.7) if persistent else DedupIndex(threshold=0.7) as index:
        assert [one for batch in batches for one in index.add(batch)] == expected


def test_an_index_that_need_not_outlive_a_power_failure_is_the_same(tmp_path: Path) -> None:
    texts = items(with_copies(300, seed=6))
    found = []
    for name, durable in (("one", True), ("other", False)):
        for start in range(0, len(texts), 100):
            with DedupIndex.open(tmp_path / name, durable=durable) as index:
                found.append(index.add(texts[start : start + 100]))
    half = len(found) // 2
    assert found[:half] == found[half:]
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "other").iterdir()}


def test_equal_texts_are_kept_by_the_smallest_id() -> None:
    assert DedupIndex().add([("z", "one text"), ("b", "One Text"), ("k", "one  text")]) == [
        Duplicate("z", "b", "exact", 1.0),
        Kept("b"),
        Duplicate("k", "b", "exact", 1.0),
    ]


def test_an_index_that_is_opened_again_goes_on_as_one_that_stayed_open(tmp_path: Path) -> None:
    texts = items(with_copies(400, seed=4))
    batches = [texts[start : start + 150] for start in range(0, len(texts), 150)]
    memory = DedupIndex()
    expected = [memory.add(batch) for batch in batches]
    with DedupIndex.open(tmp_path / "one") as index:
        assert [index.add(batch) for batch in batches] == expected
    found = []
    for number, batch in enumerate(batches):
        with DedupIndex.open(tmp_path / "many") as index:
            assert index.batches == number
            found.append(index.add(batch))
    assert found == expected
    sizes = {name: (tmp_path / "one" / name).read_bytes() for name in ("rows.bin", "hashes.bin", "ids.bin")}
    assert sizes == {name: (tmp_path / "many" / name).read_bytes() for name in sizes}


def test_the_index_takes_at_most_a_kilobyte_a_text(tmp_path: Path) -> None:
    rng = random.Random(5)  # noqa: S311 - repeatable on purpose
    texts = [" ".join(f"w{rng.randrange(50_000)}" for _ in range(rng.randrange(50, 400))) for _ in range(2_000)]
    with DedupIndex.open(tmp_path / "index") as index:
        for start in range(0, len(texts), 500):
            index.add([(f"{number:064}", text) for number, text in enumerate(texts[start : start + 500])])
        kept = len(index)
    assert kept == 2_000
    assert sum(file.stat().st_size for file in (tmp_path / "index").iterdir()) <= 1024 * kept


_WRITER = """
import sys
from ragtime.services.training_data_gen.dedup import DedupIndex

with DedupIndex.open(sys.argv[1]) as index:
    while True:
        number = index.batches
        index.add([(f"{number}-{text}", f"text {text} of batch {number}") for text in range(number % 40)])
        print(number + 1, flush=True)
"""


def test_what_was_added_before_a_kill_is_there_and_nothing_half(tmp_path: Path) -> None:
    acknowledged = 0
    for seconds in (0.3, 0.05, 0.2):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, tmp_path / "index"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        told = [first, *(line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n"))]
        process.stdout.close()
        process.wait()
        acknowledged = int(told[-1])
        with DedupIndex.open(tmp_path / "index") as index:
            assert acknowledged <= index.batches <= acknowledged + 1
            acknowledged = index.batches
            kept = len(index)
    memory = DedupIndex()
    for number in range(acknowledged):
        memory.add([(f"{number}-{text}", f"text {text} of batch {number}") for text in range(number % 40)])
    assert len(memory) == kept


def test_what_a_failed_batch_left_is_cut_off(tmp_path: Path) -> None:
    with DedupIndex.open(tmp_path / "index") as index:
        index.add([("a", "the first text of all")])
    for name in ("rows.bin", "hashes.bin", "ids.bin"):
        with (tmp_path / "index" / name).open("ab") as file:
            file.write(b"half of a batch")
    (tmp_path / "index" / "run-9-0.bin").write_bytes(b"12345678")
    with DedupIndex.open(tmp_path / "index") as index:
        assert not (tmp_path / "index" / "run-9-0.bin").exists()
        assert index.add([("b", "another text"), ("d", "the first text of all")]) == [
            Kept("b"),
            Duplicate("d", "a", "exact", 1.0),
        ]


def test_two_processes_cannot_write_and_settings_must_fit(tmp_path: Path) -> None:
    with DedupIndex.open(tmp_path / "index") as index:
        index.add([("a", "text")])
        with pytest.raises(StorageError, match="Another process has the index"):
            DedupIndex.open(tmp_path / "index")
    with pytest.raises(StorageError, match="open it with the same settings"):
        DedupIndex.open(tmp_path / "index", threshold=0.7)
    with pytest.raises(StorageError, match="is closed"):
        index.add([("b", "text")])
    header = json.loads((tmp_path / "index" / "index.json").read_text(encoding="utf-8"))
    (tmp_path / "index" / "ids.bin").write_bytes(b"")
    with pytest.raises(StorageError, match="shorter than the header tells"):
        DedupIndex.open(tmp_path / "index")
    (tmp_path / "index" / "index.json").write_text(json.dumps({**header, "format": 9}), encoding="utf-8")
    with pytest.raises(StorageError, match="no header of an index of format 1"):
        DedupIndex.open(tmp_path / "index")
    (tmp_path / "index" / "index.json").write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be read"):
        DedupIndex.open(tmp_path / "index")


def test_wrong_thresholds_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="threshold must be over 0"):
        DedupIndex(threshold=0)
    with pytest.raises(InvalidArgumentError, match="cosine must be over 0"):
        DedupIndex(cosine=1.5)


class FirstWordEncoder:
    """Gives texts with the same first word nearly the same vector."""

    dimension = 64

    def __init__(self) -> None:
        self.fails = False

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> np.ndarray:
        if self.fails:
            raise BackendError("the model failed")
        hashed = HashEncoder(64)
        vectors = hashed.encode([text.split()[0] for text in texts], role=role) + 0.1 * hashed.encode(texts, role=role)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def fingerprint(self, role: TextRole) -> str:
        return f"first-word-{role}"


@pytest.mark.parametrize("persistent", [False, True])
def test_the_last_rung_finds_what_means_the_same(tmp_path: Path, *, persistent: bool) -> None:
    encoder = FirstWordEncoder()
    index = DedupIndex.open(tmp_path / "index", encoder=encoder) if persistent else DedupIndex(encoder=encoder)
    found = index.add([("a", "sun and moon"), ("b", "rain falls"), ("c", "sun over hills")])
    kept = {one.id for one in found if isinstance(one, Kept)}
    assert len(kept) == 2
    assert "b" in kept
    encoder.fails = True
    with pytest.raises(BackendError):
        index.add([("d", "snow lies deep")])
    encoder.fails = False
    if persistent:
        index.close()
        index = DedupIndex.open(tmp_path / "index", encoder=encoder)
    assert len(index) == 2
    (later,) = index.add([("e", "rain again and again")])
    assert isinstance(later, Duplicate)
    assert (later.of, later.rung) == ("b", "embedding")
    assert 0.95 <= later.similarity < 1
    index.close()
