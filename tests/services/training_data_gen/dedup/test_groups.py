"""Groups are the components of brute force, of texts made by templates too."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.services.training_data_gen.dedup import group_near_duplicates
from ragtime.services.training_data_gen.dedup.bitmaps import Bitmaps
from ragtime.services.training_data_gen.dedup.shingles import ShingleSets, normalize_text, shingle_texts

_ACTIONS = ("list", "remove", "create", "rename", "archive")
_THINGS = ("files", "branches", "processes", "packages", "volumes")
_PLACES = ("in a folder", "on a server", "of a repository", "since yesterday")


def components(texts: Sequence[str], threshold: float) -> list[int]:
    """Group texts by comparing all with all."""
    sets = shingle_texts([normalize_text(text) for text in texts])
    shingles = [frozenset(sets.of(place).tolist()) for place in range(len(texts))]
    found = list(range(len(texts)))
    for place, one in enumerate(shingles):
        for other in range(place):
            if found[place] != found[other] and len(one & shingles[other]) >= threshold * len(one | shingles[other]):
                low, high = sorted((found[place], found[other]))
                found = [low if group == high else group for group in found]
    return found


def named(count: int, seed: int) -> list[str]:
    """Return queries of one template whose names differ: they share most shingles, but hardly any pair is alike."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    names = ["".join(rng.choices(string.ascii_lowercase, k=rng.randrange(4, 12))) for _ in range(count)]
    return [f"How is the function {name} used and what does it return?" for name in names]


def combined(count: int, seed: int) -> list[str]:
    """Return queries of one template with few fillings, some of which are alike."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return [
        f"How do I {rng.choice(_ACTIONS)} {rng.choice(_THINGS)} {rng.choice(_PLACES)} {rng.randrange(300)}?"
        for _ in range(count)
    ]


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("template", [named, combined])
def test_templated_queries_are_grouped_as_by_brute_force(template: object, threshold: float) -> None:
    assert callable(template)
    texts = template(300, seed=3)
    assert group_near_duplicates(texts, threshold=threshold).tolist() == components(texts, threshold)


_WORDS = st.sampled_from(["red", "green", "blue", "light", "dark", "yellow", "violet"])


@settings(max_examples=60, deadline=None, derandomize=True)  # a pair in 250 at the threshold may be missed
@given(
    template=st.lists(st.one_of(st.none(), _WORDS), min_size=3, max_size=30),
    fillings=st.lists(
        st.lists(st.one_of(_WORDS, st.text("abcdef", max_size=6)), min_size=30, max_size=30), max_size=40
    ),
)
def test_texts_of_any_template_are_grouped_as_by_brute_force(
    template: list[str | None], fillings: list[list[str]]
) -> None:
    texts = [
        " ".join(filled if word is None else word for word, filled in zip(template, some, strict=False))
        for some in fillings
    ]
    assert group_near_duplicates(texts).tolist() == components(texts, 0.8)


def test_the_order_of_the_texts_changes_no_group() -> None:
    texts = combined(200, seed=5) + named(200, seed=6)
    order = random.Random(0).sample(range(len(texts)), len(texts))  # noqa: S311 - repeatable on purpose
    groups = group_near_duplicates(texts)
    shuffled = group_near_duplicates([texts[place] for place in order])
    together = {(groups[one], shuffled[place]) for place, one in enumerate(order)}
    assert len(together) == len(set(groups.tolist())) == len(set(shuffled.tolist()))


@settings(max_examples=100)
@given(
    st.sets(st.integers(0, 2000), min_size=1, max_size=60),
    st.sets(st.integers(0, 2000), max_size=12),
    st.sets(st.integers(0, 59), max_size=12),
    st.floats(0.05, 1),
)
def test_bitmaps_rule_out_no_pair_that_reaches_the_threshold(
    one: set[int], added: set[int], left_out: set[int], threshold: float
) -> None:
    both = [sorted(one), sorted({value for place, value in enumerate(sorted(one)) if place not in left_out} | added)]
    sets = ShingleSets(
        np.array([value for some in both for value in some], np.uint32),
        np.cumsum([0, *map(len, both)], dtype=np.int64),
    )
    similarity = len(set(both[0]) & set(both[1])) / len(set(both[0]) | set(both[1]))
    may = Bitmaps(sets).may_reach(np.array([0]), np.array([1]), threshold)
    assert may[0] or similarity < threshold
