"""Content ids and keyed randomness."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.utils.hashing import (
    canonical_json,
    content_hash,
    file_hash,
    keyed_order,
    keyed_random,
    keyed_seed,
    keyed_uniform,
    text_hash,
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def test_known_hashes() -> None:
    """Pinned: ids in stored data must never change."""
    assert canonical_json({"b": [1, 1.0, None, True], "a": "ä"}) == '{"a":"ä","b":[1,1.0,null,true]}'
    assert content_hash({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()
    assert text_hash("") == hashlib.sha256(b"").hexdigest()
    assert text_hash("\ud800") == hashlib.sha256(b"\xed\xa0\x80").hexdigest()
    assert keyed_seed(42, "crop", "id-1") == int(hashlib.sha256(b'[42,"crop","id-1"]').hexdigest()[:16], 16)
    assert keyed_uniform(42, "crop", "id-1") == keyed_seed(42, "crop", "id-1", bits=53) / 2**53


def test_files_are_hashed_block_by_block(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    assert file_hash(tmp_path / "a") == hashlib.sha256(data).hexdigest()


@given(_json)
def test_the_order_of_keys_does_not_matter(value: object) -> None:
    def turned(item: object) -> object:
        if isinstance(item, dict):
            return {key: turned(inner) for key, inner in reversed(item.items())}
        return [turned(inner) for inner in item] if isinstance(item, list) else item

    assert content_hash(turned(value)) == content_hash(value)


@given(st.lists(st.text()), st.lists(st.text()))
def test_different_lists_have_different_hashes(first: list[str], second: list[str]) -> None:
    assert (content_hash(first) == content_hash(second)) == (first == second)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), {1: "a"}, {None: 1}, {True: 1}, [{"a": {2: 1}}], object(), {"a": {1, 2}}, b"x"],
)
def test_what_is_no_plain_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="Only plain JSON values can be hashed"):
        content_hash(value)


def test_a_value_nested_too_deeply_is_refused() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidArgumentError):
        content_hash(value)


@pytest.mark.parametrize("bits", [0, 257])
def test_a_seed_has_1_to_256_bits(bits: int) -> None:
    with pytest.raises(InvalidArgumentError, match="from 1 to 256"):
        keyed_seed(1, bits=bits)


@given(st.integers(0, 2**32), st.lists(st.text() | st.integers(), max_size=3), st.integers(1, 256))
def test_seeds_are_repeatable_and_in_range(seed: int, keys: list[object], bits: int) -> None:
    assert keyed_seed(seed, *keys, bits=bits) == keyed_seed(seed, *keys, bits=bits) < 2**bits
    assert 0.0 <= keyed_uniform(seed, *keys) < 1.0


def test_keys_are_told_apart() -> None:
    assert (
        len(
            {
                keyed_seed(1, "a", "bc"),
                keyed_seed(1, "ab", "c"),
                keyed_seed(1, "abc"),
                keyed_seed(2, "abc"),
                keyed_seed(1, ["a", "bc"]),
            }
        )
        == 5
    )
    assert keyed_seed(1, 1) != keyed_seed(1, "1")


def test_uniform_numbers_are_uniform() -> None:
    numbers = [keyed_uniform(7, number) for number in range(10_000)]
    assert abs(sum(numbers) / 10_000 - 0.5) < 0.01
    assert all(950 < sum(low <= number * 10 < low + 1 for number in numbers) < 1050 for low in range(10))


def test_generators_of_two_purposes_differ() -> None:
    assert keyed_random(1, "a").random() == keyed_random(1, "a").random() != keyed_random(1, "b").random()


@given(st.lists(st.integers(), unique=True), st.integers(0, 100), st.randoms())
def test_the_order_of_the_input_does_not_matter(items: list[int], seed: int, rng: random.Random) -> None:
    shuffled = items[:]
    rng.shuffle(shuffled)
    ordered = keyed_order(items, seed, key=lambda item: item)
    assert keyed_order(shuffled, seed, key=lambda item: item) == ordered
    assert sorted(ordered) == sorted(items)


def test_a_larger_sample_contains_a_smaller_one() -> None:
    some = keyed_order(range(100), 3, key=lambda item: item)
    more = keyed_order(range(200), 3, key=lambda item: item)
    assert [item for item in more if item < 100] == some
    assert some != keyed_order(range(100), 4, key=lambda item: item)


def test_no_hash_depends_on_the_hash_seed() -> None:
    code = (
        "from ragtime.utils.hashing import content_hash, keyed_order;"
        "print(content_hash({'b': 1, 'a': [2]}), keyed_order({'a', 'b', 'c', 'd'}, 1, key=str))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "42")
    }
    assert len(told) == 1


def test_a_circular_value_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(InvalidArgumentError):
        content_hash(value)


def test_order_and_numbers_of_one_seed_have_nothing_to_do_with_each_other() -> None:
    items = [str(number) for number in range(1000)]
    first = keyed_order(items, 42, key=str)[:100]
    assert 2 <= sum(keyed_uniform(42, item) < 0.1 for item in first) <= 25
    assert keyed_order(items, 42, "split", key=str)[:100] != first
