"""Pairs by the rules of the old generator: ratings, cuts and word-set negatives; §8 of the old calls."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compat.training_fakes import QUERY, Store, entry, generator
from training_data_generator_compat import TrainingDataGenerator, TrainingPair

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")

LIKE = "How do I descale the big kettle?"  # shares 6 of 7 words with QUERY


def _positive(query: str = QUERY, document: str = "Document 0.", **fields: Any) -> TrainingPair:
    return TrainingPair(query, document, 1.0, 5, "positive", fields or None)


# --- TrainingPair -------------------------------------------------------------------------------------------------


def test_a_pair_is_a_dataclass_with_these_fields_in_this_order() -> None:
    assert [(one.name, one.default) for one in dataclasses.fields(TrainingPair)] == [
        ("query", dataclasses.MISSING),
        ("document", dataclasses.MISSING),
        ("label", dataclasses.MISSING),
        ("rating", None),
        ("pair_type", "standard"),
        ("metadata", None),
    ]
    pair = TrainingPair("q", "d", 1.0, 5, "positive", {"a": 1})
    assert pair == TrainingPair(query="q", document="d", label=1.0, rating=5, pair_type="positive", metadata={"a": 1})
    assert dataclasses.asdict(TrainingPair("q", "d", 0.0)) == {
        "query": "q",
        "document": "d",
        "label": 0.0,
        "rating": None,
        "pair_type": "standard",
        "metadata": None,
    }
    pair.label = 0.5
    assert pair.label == 0.5


# --- generate_positive_pairs, generate_negative_pairs -------------------------------------------------------------


def test_positive_pairs() -> None:
    made = generator().generate_positive_pairs([entry(5, f"  {QUERY} ", ("d2", "d1"), timestamp=7)])
    assert made == [
        TrainingPair(
            query=QUERY,
            document=f"Document {number}.",
            label=1.0,
            rating=5,
            pair_type="positive",
            metadata={"document_id": f"d{number}", "feedback_timestamp": 7, "original_rating": 5},
        )
        for number in (2, 1)
    ]


def test_negative_pairs() -> None:
    made = generator().generate_negative_pairs(feedback=[entry(1, timestamp="2026-01-30")])
    assert made == [
        TrainingPair(
            query=QUERY,
            document="Document 1.",
            label=0.0,
            rating=1,
            pair_type="negative",
            metadata={"document_id": "d1", "feedback_timestamp": "2026-01-30", "original_rating": 1},
        )
    ]


@pytest.mark.parametrize(
    ("rating", "kinds"), [(1, "n"), (2, "n"), (2.5, ""), (3, ""), (3.9, ""), (4, "p"), (5, "p"), (6, "p"), (0, "n")]
)
def test_from_4_is_good_and_to_2_is_bad(rating: float, kinds: str) -> None:
    made = generator()
    found = {"p": made.generate_positive_pairs([entry(rating)]), "n": made.generate_negative_pairs([entry(rating)])}
    assert "".join(kind for kind, pairs in found.items() if pairs) == kinds


def test_thresholds_may_be_changed() -> None:
    made = generator()
    made.positive_rating_threshold, made.negative_rating_threshold = 8, 5
    assert [pair.rating for pair in made.generate_positive_pairs([entry(8), entry(7)])] == [8]
    assert [pair.rating for pair in made.generate_negative_pairs([entry(5), entry(6)])] == [5]


def test_at_most_5_pairs_of_an_entry_not_of_a_query() -> None:  # G7, which stays
    ids = tuple(f"d{number}" for number in range(8))
    made = generator().generate_positive_pairs([entry(ids=ids)] * 3)
    assert [pair.document for pair in made] == [f"Document {number}." for number in range(5)] * 3
    fewer = generator()
    fewer.max_pairs_per_query = 2
    assert len(fewer.generate_negative_pairs([entry(1, ids=ids)])) == 2


def test_missing_documents_make_room_for_others() -> None:
    ids = ("x", *(f"d{number}" for number in range(6)))
    assert len(generator().generate_positive_pairs([entry(ids=ids)])) == 5


@pytest.mark.parametrize(
    "bad",
    [
        *(entry(query=query) for query in ("", "  ", None, 3)),
        *(entry(ids=ids) for ids in ((), None, 3, ({},), ("x",), (None, ""))),
        *(entry(rating=rating) for rating in (None, "good", "", [5], True, float("nan"))),
        {},
        None,
        "text",
    ],
)
def test_a_bad_entry_costs_only_itself(bad: Any) -> None:
    made = generator()
    assert len(made.generate_positive_pairs([bad, entry(5), bad])) == 1
    assert len(made.generate_negative_pairs([bad, entry(1), bad])) == 1


@pytest.mark.parametrize(("text", "number"), [("5", 5), (" 4 ", 4), ("4.5", 4.5)])
def test_a_rating_in_a_text_is_a_rating(text: str, number: float) -> None:  # G3
    (pair,) = generator().generate_positive_pairs([entry(text)])
    assert (pair.rating, pair.metadata) == (
        number,
        {"document_id": "d1", "feedback_timestamp": entry()["timestamp"], "original_rating": number},
    )
    assert [pair.rating for pair in generator().generate_negative_pairs([entry("1"), entry("5")])] == [1]


def test_a_single_id_need_not_stand_in_a_list() -> None:
    assert [pair.document for pair in generator().generate_positive_pairs([entry(ids="d12")])] == ["Document 12."]


def test_entries_are_not_changed() -> None:
    given_entries = [entry(5, f" {QUERY} "), entry("1")]
    before = copy.deepcopy(given_entries)
    made = generator()
    made.generate_hard_negative_pairs(made.generate_positive_pairs(given_entries), given_entries)
    assert given_entries == before


def test_without_documents_there_are_no_pairs() -> None:
    assert TrainingDataGenerator().generate_positive_pairs([entry(5)]) == []
    assert generator(documents={}).generate_negative_pairs([entry(1)]) == []


# --- cuts ---------------------------------------------------------------------------------------------------------


def _cut(text: str) -> str:
    (pair,) = generator(documents={"d1": text}).generate_positive_pairs([entry()])
    return pair.document


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 1000, "x" * 1000),
        ("x" * 701 + "." + "y" * 500, "x" * 701 + "."),
        ("x" * 701 + "\n" + "y" * 500, "x" * 701 + "\n"),
        ("x" * 700 + "." + "y" * 500, "x" * 700 + "." + "y" * 296 + "..."),
        ("x" * 750 + "." + "y" * 100 + "\n" + "z" * 500, "x" * 750 + "." + "y" * 100 + "\n"),
        ("x" * 750 + "\n" + "y" * 100 + "." + "z" * 500, "x" * 750 + "\n" + "y" * 100 + "."),
        ("x" * 999 + "." + "y", "x" * 999 + "."),
        ("x" * 1000 + ".", "x" * 997 + "..."),
        ("x" * 5000, "x" * 997 + "..."),
    ],
)
def test_long_documents_are_cut(text: str, expected: str) -> None:
    assert _cut(text) == expected


@given(text=st.text(alphabet="ab .\né", min_size=1, max_size=8), times=st.integers(1, 400))
@settings(max_examples=60)
def test_no_document_is_longer_than_1000_characters(text: str, times: int) -> None:  # G9
    whole = f"Start {text * times}"
    cut = _cut(whole)
    assert len(cut) <= 1000
    assert cut == whole or (len(whole) > 1000 and whole.startswith(cut.removesuffix("...")) and len(cut) > 700)


def test_hard_negatives_are_cut_too() -> None:
    made = generator(documents={"d1": "x" * 2000})
    (pair,) = made.generate_hard_negative_pairs([_positive()], [entry(1, LIKE)])
    assert len(pair.document) == 1000


# --- generate_hard_negative_pairs ---------------------------------------------------------------------------------


def test_hard_negatives() -> None:
    bad = entry(2, LIKE, ("d3", "d4"))
    assert generator().generate_hard_negative_pairs([_positive()], [entry(5), bad]) == [
        TrainingPair(
            query=QUERY,
            document="Document 3.",
            label=0.0,
            rating=2,
            pair_type="hard_negative",
            metadata={"document_id": "d3", "similar_query": LIKE, "similarity_score": 6 / 7, "original_rating": 2},
        )
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("a b c d e f g h i j", True),
        ("A B C D E F G", True),
        ("a b c d e f g x", False),
        ("a a b b c d e f g", True),
    ],
)
def test_likeness_is_that_of_word_sets_and_the_threshold_belongs_to_it(query: str, found: bool) -> None:
    positive = _positive("a b c d e f g h i j")  # with seven of its words: exactly 0.7
    made = generator().generate_hard_negative_pairs([positive], [entry(1, query, ("d5",))])
    assert bool(made) is found


def test_the_threshold_may_be_changed() -> None:
    made = generator()
    made.hard_negative_similarity_threshold = 0.9
    assert made.generate_hard_negative_pairs([_positive()], [entry(1, LIKE)]) == []
    made.hard_negative_similarity_threshold = 0.1
    assert len(made.generate_hard_negative_pairs([_positive()], [entry(1, "How about the tea?")])) == 1


def test_the_most_like_query_comes_first_and_ties_in_the_order_of_entries() -> None:
    entries = [
        entry(1, "How do I descale the big old kettle?", ("d1",)),
        entry(1, LIKE, ("d2",)),
        entry(1, "How do I descale the small kettle?", ("d3",)),
    ]
    (pair,) = generator().generate_hard_negative_pairs([_positive()], entries)
    assert pair.document == "Document 2."


def test_the_limit_counts_the_positives_that_are_looked_at() -> None:
    positives = [_positive("Nothing like it at all"), _positive(), _positive(QUERY.lower(), "Document 9.")]
    entries = [entry(1, LIKE, ("d2",))]
    made = generator()
    assert made.generate_hard_negative_pairs(positives, entries, 1) == []
    assert len(made.generate_hard_negative_pairs(positives, entries, num_hard_negatives=2)) == 1
    assert len(made.generate_hard_negative_pairs(positives, entries)) == 2
    assert made.generate_hard_negative_pairs(positives, entries, 0) == []
    assert made.generate_hard_negative_pairs(positives, entries, -1) == []


def test_by_default_at_most_100_positives_are_looked_at() -> None:
    positives = [_positive(f"one two three four five {number}") for number in range(120)]
    entries = [entry(1, "one two three four five other", ("d2",))]
    made = generator()
    assert len(made.generate_hard_negative_pairs(positives, entries)) == 100
    assert len(made.generate_hard_negative_pairs(positives, entries, 110)) == 110


@pytest.mark.parametrize("rating", [3, 4, 5, None, "good", True])
def test_only_low_ratings_are_candidates(rating: object) -> None:
    assert generator().generate_hard_negative_pairs([_positive()], [entry(rating, LIKE)]) == []


def test_no_positives_or_no_entries_give_nothing() -> None:
    assert generator().generate_hard_negative_pairs([], [entry(1, LIKE)]) == []
    assert generator().generate_hard_negative_pairs([_positive()], []) == []


@pytest.mark.parametrize("model", [None, "", "mistral"])
def test_no_embedding_model_is_needed(model: str | None) -> None:  # G8
    made = generator()
    made.embedding_model = model
    assert len(made.generate_hard_negative_pairs([_positive()], [entry(1, LIKE)])) == 1


def test_the_same_query_with_a_bad_rating_is_a_candidate_the_last_one() -> None:  # G4
    same, like = entry(1, QUERY, ("d1",)), entry(1, LIKE, ("d2",))
    made = generator()
    (pair,) = made.generate_hard_negative_pairs([_positive()], [same])
    assert pair.metadata is not None
    assert (pair.document, pair.metadata["similarity_score"]) == ("Document 1.", 1.0)
    assert [one.document for one in made.generate_hard_negative_pairs([_positive()], [same, like])] == ["Document 2."]


def test_another_spelling_with_the_same_words_is_another_query() -> None:
    (pair,) = generator().generate_hard_negative_pairs([_positive()], [entry(1, QUERY.upper(), ("d1",))])
    assert pair.metadata is not None
    assert pair.metadata["similarity_score"] == 1.0


def test_a_hard_negative_is_never_a_document_of_a_positive() -> None:  # G5
    positives = [_positive(document="Document 0."), _positive(document="Document 1.")]
    entries = [entry(1, LIKE, ("d0",)), entry(1, LIKE, ("d1",)), entry(2, LIKE, ("d2", "d0"))]
    made = generator().generate_hard_negative_pairs(positives, entries)
    assert [(pair.document, pair.rating) for pair in made] == [("Document 2.", 2)]


def test_the_same_text_under_another_id_is_the_same_document() -> None:  # G5
    made = generator(documents={"d0": "Same.", "d1": "Same."})
    assert made.generate_hard_negative_pairs([_positive(document="Same.")], [entry(1, LIKE, ("d1",))]) == []


def test_positives_of_one_query_get_different_hard_negatives() -> None:  # G6
    positives = [_positive(document=f"Document {number}.") for number in (0, 10, 11)]
    entries = [entry(1, LIKE, ("d1",)), entry(1, LIKE, ("d2",))]
    made = generator().generate_hard_negative_pairs(positives, entries)
    assert [pair.document for pair in made] == ["Document 1.", "Document 2."]


def test_a_candidate_without_text_is_passed_over() -> None:
    entries = [entry(1, LIKE, ("gone",)), entry(1, LIKE, ()), entry(1, LIKE, ("d3",))]
    assert len(generator().generate_hard_negative_pairs([_positive()], entries)) == 1


def test_documents_of_candidates_are_asked_for_together() -> None:
    store = Store({f"d{number}": f"Text {number}." for number in range(4)})
    made = TrainingDataGenerator(chroma_db=store)
    entries = [entry(1, LIKE, (f"d{number}",)) for number in (1, 2, 1)]
    made.generate_hard_negative_pairs([_positive(), _positive(document="Text 9.")], entries)
    assert store.asked == [["d1", "d2"]]


def test_what_is_no_pair_is_passed_over() -> None:
    wrong: Any = [None, 3, "text", _positive()]
    assert len(generator().generate_hard_negative_pairs(wrong, [entry(1, LIKE)])) == 1


# --- nothing raises -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("feedback", [None, 3])
def test_feedback_that_is_no_list_gives_no_pairs(feedback: Any) -> None:
    made, positives = generator(), [_positive()]
    assert made.generate_positive_pairs(feedback) == []
    assert made.generate_negative_pairs(feedback) == []
    assert made.generate_hard_negative_pairs(positives, feedback) == []
    assert made.generate_hard_negative_pairs(feedback, [entry(1, LIKE)]) == []


@pytest.mark.parametrize("wrong", [None, "4"])
def test_thresholds_that_are_no_numbers_give_no_pairs(wrong: Any) -> None:
    made = generator()
    made.positive_rating_threshold = made.negative_rating_threshold = wrong
    assert made.generate_positive_pairs([entry(5)]) == []
    assert made.generate_negative_pairs([entry(1)]) == []
    assert made.generate_hard_negative_pairs([_positive()], [entry(1, LIKE)]) == []


def test_a_number_of_hard_negatives_that_is_none_gives_none() -> None:
    wrong: Any = "1"
    assert generator().generate_hard_negative_pairs([_positive()], [entry(1, LIKE, ("d1",))], wrong) == []


@pytest.mark.parametrize("number", [np.int64, np.float32, np.float64])
def test_ratings_may_be_numbers_of_numpy(number: Any) -> None:
    made = generator()
    (positive,) = made.generate_positive_pairs([entry(number(5))])
    (negative,) = made.generate_negative_pairs([entry(number(1))])
    assert (positive.rating, negative.rating) == (5, 1)
    assert {type(pair.rating) for pair in (positive, negative)} <= {int, float}


@pytest.mark.parametrize("rating", ["inf", "nan", float("inf"), float("-inf"), float("nan")])
def test_a_rating_that_is_not_finite_is_none(rating: object) -> None:
    made = generator()
    assert made.generate_positive_pairs([entry(rating)]) == made.generate_negative_pairs([entry(rating)]) == []
