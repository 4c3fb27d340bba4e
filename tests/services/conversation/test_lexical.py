"""BM25 equals its formula, in memory and from a store, whatever was added and removed before."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import LexicalMatch, LexicalScope
from ragtime.services.conversation.bm25 import bm25_from_scope
from ragtime.services.conversation.lexical import LexicalIndex
from ragtime.utils.stems import stems_of

texts = st.lists(st.sampled_from("abcdefg"), max_size=8)
queries = st.lists(st.sampled_from("abcdxyz"), max_size=6)
weights = st.lists(st.sampled_from([0.1, 0.25, 0.5, 1.0]), max_size=3)


@st.composite
def trees(draw: st.DrawFn) -> list[tuple[list[str], int | None]]:
    """Texts, each with the one before it in its conversation."""
    found: list[tuple[list[str], int | None]] = []
    for stems in draw(st.lists(texts, max_size=12)):
        before = draw(st.none() | st.integers(0, len(found) - 1)) if found else None
        found.append((stems, before))
    return found


def index_of(tree: list[tuple[list[str], int | None]], *, weights: list[float]) -> LexicalIndex:
    index = LexicalIndex(weights=weights)
    for stems, before in tree:
        index.add(stems, previous=before)
    return index


def reference(tree: list[tuple[list[str], int | None]], query: list[str], weights: list[float]) -> dict[int, float]:
    """The formula, word by word."""
    parents = [before for _, before in tree]
    children = [[place for place, before in enumerate(parents) if before == one] for one in range(len(tree))]
    keys: list[Counter[str]] = []
    for place, (stems, _) in enumerate(tree):
        key: dict[str, float] = dict.fromkeys(stems, 0.0) | {stem: float(n) for stem, n in Counter(stems).items()}
        before: int | None = place
        after: int | None = place
        for weight in weights:
            before = None if before is None else parents[before]
            after = None if after is None or not children[after] else children[after][0]
            for other in (before, after):
                for stem in tree[other][0] if other is not None else ():
                    key[stem] = key.get(stem, 0.0) + weight
        keys.append(Counter(key))  # type: ignore[arg-type]
    lengths = [sum(key.values()) for key in keys]
    average = sum(lengths) / len(lengths) if lengths else 0
    scores: dict[int, float] = {}
    for stem in query:
        holding = [place for place, key in enumerate(keys) if key[stem] > 0]
        idf = math.log(1 + (len(tree) - len(holding) + 0.5) / (len(holding) + 0.5))
        for place in holding:
            frequency = keys[place][stem]
            norm = 1.2 * (1 - 0.75 + 0.75 * lengths[place] / average)
            scores[place] = scores.get(place, 0.0) + idf * frequency / (frequency + norm)
    return scores


@given(trees(), queries, weights)
def test_scores_are_those_of_the_formula(
    tree: list[tuple[list[str], int | None]], query: list[str], weights: list[float]
) -> None:
    found = index_of(tree, weights=weights).scores(query)
    expected = reference(tree, query, weights)
    assert found.positions.tolist() == sorted(expected)
    np.testing.assert_allclose(found.values, [expected[place] for place in sorted(expected)], rtol=1e-9)
    assert (found.values < found.bound).all()


@given(trees(), queries, weights)
def test_questions_in_between_change_nothing(
    tree: list[tuple[list[str], int | None]], query: list[str], weights: list[float]
) -> None:
    index = LexicalIndex(weights=weights)
    for stems, before in tree:
        index.add(stems, previous=before)
        index.search(query, 3)
    assert index.search(query, 20) == index_of(tree, weights=weights).search(query, 20)


@given(trees(), queries, weights, st.data())
def test_what_is_removed_was_never_there(
    tree: list[tuple[list[str], int | None]], query: list[str], weights: list[float], data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(range(len(tree))))) if tree else set()
    index = index_of(tree, weights=weights)
    first = set(itertools.islice(gone, 2))
    index.remove(first)
    index.search(query, 3)
    index.remove(gone - first)
    kept = [place for place in range(len(tree)) if place not in gone]
    fresh: list[tuple[list[str], int | None]] = []
    for place in kept:
        before = tree[place][1]
        while before in gone:
            before = tree[before][1]
        fresh.append((tree[place][0], None if before is None else kept.index(before)))
    expected = index_of(fresh, weights=weights)
    assert len(index) == len(expected) == len(kept)
    assert index.search(query, 20) == [(kept[place], score) for place, score in expected.search(query, 20)]
    assert index.scores(query).bound == expected.scores(query).bound
    assert index._postings.keys() == expected._postings.keys()  # nothing is remembered of what was forgotten
    more = index.add(["a"], previous=kept[0] if kept else None)
    assert more == len(tree)
    assert expected.add(["a"], previous=0 if kept else None) == len(kept)
    renamed = {place: number for number, place in enumerate([*kept, more])}
    assert [(renamed[place], score) for place, score in index.search(query, 20)] == expected.search(query, 20)


@given(st.lists(texts, max_size=12), queries)
def test_what_a_store_finds_scores_the_same(corpus: list[list[str]], query: list[str]) -> None:
    index = index_of([(stems, None) for stems in corpus], weights=[])
    matches = []
    for number, stems in enumerate(corpus):
        frequencies = {stem: count for stem, count in Counter(stems).items() if stem in query}
        if frequencies:
            matches.append(
                LexicalMatch(conversation_id="c", turn_id=str(number), frequencies=frequencies, length=len(stems))
            )
    scope = LexicalScope(turns=len(corpus), stems=sum(map(len, corpus)), matches=tuple(matches))
    found, expected = bm25_from_scope(scope, query), index.scores(query)
    assert [int(matches[place].turn_id) for place in found.positions] == expected.positions.tolist()
    assert found.values.tolist() == expected.values.tolist()
    assert found.bound == expected.bound


def test_texts_are_reduced_to_stems() -> None:
    index = LexicalIndex()
    assert [index.add(text) for text in ("Bus stations", "A red bus, a blue bus", "It is.")] == [0, 1, 2]
    assert [place for place, _ in index.search("Which bus?", 5)] == [1, 0]
    assert index.search("Which bus?", 5) == index.search(stems_of("Which bus?"), 5)
    scope = LexicalScope(
        turns=3,
        stems=6,
        matches=(LexicalMatch(conversation_id="c", turn_id="0", frequencies={"bus": 1}, length=2),),
    )
    assert bm25_from_scope(scope, "The bus").values.tolist() == bm25_from_scope(scope, ["bus"]).values.tolist()


def test_equal_scores_are_in_the_order_of_the_texts() -> None:
    index = LexicalIndex()
    for number in range(50):
        index.add(["bus", "red"] if number == 30 else ["bus", "old"])
    assert [place for place, _ in index.search(["bus", "red"], 4)] == [30, 0, 1, 2]
    assert [place for place, _ in index.search(["bus"], 60)] == list(range(50))
    assert index.search(["bus"], 0) == []


def test_a_word_that_stands_twice_in_the_query_counts_twice() -> None:
    index = LexicalIndex()
    index.add(["bus"])
    once, twice = (index.search(["bus"] * times, 1)[0][1] for times in (1, 2))
    assert twice == pytest.approx(2 * once)


def test_a_turn_is_found_by_what_stands_around_it() -> None:
    index = LexicalIndex(weights=(0.5, 0.25))
    question = index.add("When does the train to Leeds leave?")
    answer = index.add("At noon.", previous=question)
    thanks = index.add("Thank you.", previous=answer)
    index.add("At noon.")
    assert [place for place, _ in index.search("Leeds at noon", 4)] == [question, answer, thanks, 3]
    assert [place for place, _ in index.search("Leeds", 4)] == [question, answer, thanks]


def test_a_new_branch_leaves_the_key_of_the_turn_before_it() -> None:
    index = LexicalIndex(weights=(0.5,))
    index.add(["which"])
    index.add(["old"], previous=0)
    index.add(["new"], previous=0)
    assert [place for place, _ in index.search(["old"], 4)] == [1, 0]
    assert [place for place, _ in index.search(["new"], 4)] == [2]
    index.remove([1])
    assert [place for place, _ in index.search(["new"], 4)] == [2, 0]


def test_shares_are_of_the_information_of_the_query() -> None:
    index = LexicalIndex()
    index.add(["bus", "red"])
    index.add(["car"])
    shares = index.scores(["bus", "red"]).shares(np.array([1, 0, 1]))
    assert shares[0] == shares[2] == 0
    assert 0 < shares[1] < 1
    assert index.scores(["bus", "red", "unheard"]).shares(np.array([0]))[0] < shares[1]
    assert index.scores(["unheard"]).shares(np.array([0, 1])).tolist() == [0, 0]
    assert LexicalIndex().scores("nothing").shares(np.array([], np.int64)).tolist() == []


def test_wrong_arguments_change_nothing() -> None:
    index = LexicalIndex()
    index.add(["bus"])
    for wrong in (
        lambda: index.add(["car"], previous=1),
        lambda: index.add(["car"], previous=-1),
        lambda: index.remove([0, 7]),
        lambda: index.search(["bus"], -1),
        lambda: LexicalIndex(weights=(0.5, 0.0)),
    ):
        with pytest.raises(InvalidArgumentError):
            wrong()
    assert [place for place, _ in index.search(["bus"], 3)] == [0]
    index.remove([0])
    with pytest.raises(InvalidArgumentError, match="no text at position 0"):
        index.remove([0])


def test_threads_may_add_and_search() -> None:
    index = LexicalIndex(weights=(0.5,))

    def search() -> None:
        for _ in range(200):
            found = index.search(["bus"], 5)
            assert [place for place, _ in found] == list(range(len(found)))

    with ThreadPoolExecutor(1) as pool:
        searching = pool.submit(search)
        for _ in range(2_000):
            index.add(["bus"])
        searching.result()
    assert len(index) == 2_000
