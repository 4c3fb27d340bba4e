"""Shingles are what a plain reference makes of a text, whatever else is hashed with it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.services.training_data_gen.dedup.minhash import (
    KEPT_HASHES,
    band_keys,
    bands_for,
    similarities,
    sketches_of,
)
from ragtime.services.training_data_gen.dedup.shingles import (
    ShingleSets,
    normalize_text,
    normalize_texts,
    shared_counts,
    shingle_texts,
)
from tests.services.training_data_gen.dedup.texts import real_texts


def reference(text: str) -> set[object]:
    """Cut a normalised ASCII text into five words or, when it is short, five characters."""
    words = re.findall(r"[a-z0-9]+", text)
    if len(words) >= 20:
        return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}
    return {text[place : place + 5] for place in range(max(1, len(text) - 4))} - {""}


def test_real_texts_have_the_shingles_of_the_reference() -> None:
    texts = [normalize_text(text) for text in real_texts(1_500) if text.isascii()]
    sets = shingle_texts(texts)
    expected = [reference(text) for text in texts]
    assert np.diff(sets.offsets).tolist() == [len(shingles) for shingles in expected]
    for place in range(0, len(texts) - 1, 7):
        shared = shared_counts([sets.of(place)], [sets.of(place + 1)])
        assert shared.tolist() == [len(expected[place] & expected[place + 1])]


@settings(max_examples=60)
@given(st.lists(st.text(max_size=80), max_size=8))
def test_a_text_has_the_same_shingles_in_any_company(texts: list[str]) -> None:
    together = shingle_texts([normalize_text(text) for text in texts])
    for place, text in enumerate(texts):
        alone = shingle_texts([normalize_text(text)])
        assert alone.hashes.tolist() == together.of(place).tolist()
        assert bool(len(alone.hashes)) == bool(normalize_text(text))


def test_a_text_longer_than_what_is_hashed_at_once_is_whole() -> None:
    words = [f"w{number}" for number in range(60_000)]
    sets = shingle_texts([" ".join(words), " ".join(words[:100]), " ".join(words[100:200])])
    assert shared_counts([sets.of(0), sets.of(0)], [sets.of(1), sets.of(2)]).tolist() == [96, 96]


def test_case_spaces_and_forms_of_unicode_do_not_count() -> None:
    assert normalize_text("  \uff21\tSTRASSE  \n") == "a strasse"
    assert normalize_text("Straße") == "strasse"
    assert normalize_text("\ud800 x") == "\ud800 x"
    assert len(shingle_texts(["\ud800 x", "検索の質問"]).hashes) == 2


@settings(max_examples=100)
@given(st.lists(st.text(st.one_of(st.sampled_from(" \t\n\x1c\x00aB."), st.characters()), max_size=12), max_size=10))
def test_many_texts_are_normalised_as_each_alone(texts: list[str]) -> None:
    assert normalize_texts(texts) == [normalize_text(text) for text in texts]


def test_bands_miss_few_pairs_at_the_threshold() -> None:
    for threshold in (0.3, 0.5, 0.7, 0.8, 0.9, 1.0):
        bands = bands_for(threshold)
        assert 1 - (1 - threshold**bands.rows) ** bands.number >= 0.995
        assert bands.number <= 50 or threshold < 0.4


def test_bands_agree_as_often_as_the_similarity_says() -> None:
    texts = []
    for pair in range(200):
        common = [f"c{pair}x{word}" for word in range(96)]
        texts += [" ".join([*common, *(f"{side}{pair}y{word}" for word in range(24))]) for side in "ab"]
    sets = shingle_texts(texts)
    keys = band_keys(sets, bands_for(0.7))
    agreeing = (keys[::2] == keys[1::2]).mean()
    similarity = similarities([sets.of(0)], [sets.of(1)])[0]
    assert agreeing == pytest.approx(similarity**4, abs=0.03)


def test_a_sketch_of_a_long_text_estimates_the_similarity() -> None:
    words = [f"w{number}" for number in range(2_000)]
    texts = [
        " ".join(words),
        " ".join([*words[:1_800], *(f"v{number}" for number in range(200))]),
        " ".join(words[:150]),
    ]
    sets = shingle_texts(texts)
    exact = 1_796 / (2 * 1_996 - 1_796)
    first, second, third = (sketches_of(sets).of(place) for place in range(3))
    assert len(first) == KEPT_HASHES
    assert similarities([first], [second])[0] == pytest.approx(exact, abs=0.08)
    assert similarities([first], [third])[0] == pytest.approx(146 / 1_996, abs=0.08)
    assert similarities([first[:0]], [second[:0]]).tolist() == [0.0]


@given(
    st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6), st.lists(st.integers(0, 5), max_size=8)
)
def test_sets_are_taken_in_the_order_asked_for(some: list[list[int]], wanted: list[int]) -> None:
    sets = ShingleSets(
        np.array([value for one in some for value in one], np.uint32), np.cumsum([0, *map(len, some)], dtype=np.int64)
    )
    places = [place for place in wanted if place < len(some)]
    taken = sets.take(np.array(places, np.int64))
    assert [taken.of(number).tolist() for number in range(len(places))] == [some[place] for place in places]
