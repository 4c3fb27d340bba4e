"""Examples of judged queries and of rated answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import GenerationError
from ragtime.records import Document
from ragtime.records.training import Rater
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources import FeedbackRecord, JudgedQuery, Sources
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.staging import Staging
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Strategy
from ragtime.services.training_data_gen.strategies.query_based import QueryBased
from ragtime.services.training_data_gen.tools import Tools
from ragtime.testing import HashEncoder

NOW = datetime(2026, 3, 1, tzinfo=UTC)
CORPUS = {
    "returns": "Returns are free for 30 days; print the label and hand the box to a post office.",
    "drum": "Clean the steel drum of the roaster with a dry brush after each roast.",
    "filter": "Change the filter when the light turns red, or after fifty roasts at the latest.",
    "travel": "Penguins live in colonies on the southern coast.",
}
MakeTools = Callable[..., Tools]


@pytest.fixture
def make_tools(tmp_path: Path) -> Iterator[MakeTools]:
    """Returns a function that makes tools with a corpus; a pair stands for a part and the document it is of."""
    with ExitStack() as stack:

        def make(
            texts: dict[str, str | tuple[str, str]] | None = None,
            *,
            encoder: HashEncoder | None = None,
            **limits: object,
        ) -> Tools:
            staging = stack.enter_context(Staging(tmp_path / f"{len(list(tmp_path.iterdir()))}.sqlite", seed=0))
            for key, text in (CORPUS if texts is None else texts).items():
                part = {"parent": text[1]} if isinstance(text, tuple) else {}
                staging.add_document(Document(id=key, text=text[0] if isinstance(text, tuple) else text, metadata=part))
            corpus = Corpus(staging, staging.place_documents())
            return Tools(Settings(training_data=limits), corpus, encoder=encoder)

        yield make


def rating(
    number: int, stars: float, *documents: str, query: str = "how to clean it", **fields: object
) -> FeedbackRecord:
    given = {"id": f"f{number}", "query": query, "stars": stars, "document_ids": documents, "created_at": NOW, **fields}
    return FeedbackRecord(**given)


def outcomes(
    tools: Tools, queries: list[JudgedQuery] | None = None, feedback: list[FeedbackRecord] | None = None
) -> list[Outcome]:
    sources = Sources(
        queries=None if queries is None else lambda: iter(queries),
        feedback=None if feedback is None else lambda: iter(feedback),
    )
    strategy = QueryBased()
    units = list(strategy.units(Reading(sources), tools))
    made = strategy.make(units, tools)
    assert len(made) == len(units)
    assert all(made)
    return [one for part in made for one in part]


def examples(found: list[Outcome]) -> list[TrainingExample]:
    return [one for one in found if isinstance(one, TrainingExample)]


def reasons(found: list[Outcome]) -> Counter[str]:
    return Counter(one.reason for one in found if isinstance(one, Rejected))


def judged(text: str, **judgements: int) -> JudgedQuery:
    return JudgedQuery(id=f"q-{text.split(maxsplit=1)[0]}", text=text, judgements=judgements)


def test_it_is_a_strategy() -> None:
    assert isinstance(QueryBased(), Strategy)
    assert QueryBased.name == "query_based"


def test_a_judged_query_gives_an_example_of_each_relevant_document(make_tools: MakeTools) -> None:
    """The best grade first; documents judged not relevant are negatives."""
    found = outcomes(make_tools(), [judged("drum care", drum=3, filter=1, travel=0)])
    first, second = examples(found)
    assert (first.response, first.label, first.weight, first.weak) == (CORPUS["drum"], 1.0, 1.0, False)
    assert (second.response, second.weight) == (CORPUS["filter"], pytest.approx(1 / 3))
    assert first.negatives == second.negatives == (CORPUS["travel"],)
    assert first.strategy == "query_based"
    assert first.metadata == {"grade": 3}
    assert (first.lineage.source, first.lineage.query_id) == ("queries", "q-drum")
    assert first.lineage.document_ids == ("drum",)
    assert not reasons(found)


def test_a_query_with_bad_documents_alone_gives_examples_of_what_not_to_find(make_tools: MakeTools) -> None:
    made = examples(outcomes(make_tools(), [judged("drum care", travel=0)], [rating(1, 1, "filter")]))
    assert {(one.query, one.response, one.label) for one in made} == {
        ("drum care", CORPUS["travel"], 0.0),
        ("how to clean it", CORPUS["filter"], 0.0),
    }


def test_ratings_are_labels(make_tools: MakeTools) -> None:
    """Good ones give examples, bad ones their negatives, and what is between them is rejected by name."""
    ratings = [rating(1, 5, "drum"), rating(2, 1, "travel"), rating(3, 3, "filter")]
    found = outcomes(make_tools(), feedback=ratings)
    (made,) = examples(found)
    assert (made.response, made.negatives) == (CORPUS["drum"], (CORPUS["travel"],))
    assert (made.weight, made.label, made.metadata) == (1.0, 1.0, {"stars": 5.0, "votes": 1})
    assert made.lineage.feedback_ids == ("f1", "f2")  # the good one, and the one that gave it its negative
    assert made.lineage.source == "feedback"
    assert reasons(found) == {"the rating is neither good nor bad": 1}


def test_who_has_rated_is_noted(make_tools: MakeTools) -> None:
    """Whoever gave a rating that made the example or one of its negatives; those of the same rating once."""
    ratings = [
        rating(1, 5, "drum", user_id="cleo", conversation_id="c9"),
        rating(2, 4, "drum", user_id="ann"),
        rating(3, 5, "drum", user_id="ann"),
        rating(4, 1, "travel", user_id="dora"),
        rating(5, 3, "filter", user_id="nobody's"),
    ]
    (made,) = examples(outcomes(make_tools(), feedback=ratings))
    assert made.lineage.raters == (
        Rater(user_id="ann"),
        Rater(user_id="cleo", conversation_id="c9"),
        Rater(user_id="dora"),
    )
    assert made.lineage.user_id is None


def test_of_a_rating_without_a_user_it_is_noted_that_nobody_knows_whose_it_is(make_tools: MakeTools) -> None:
    (made,) = examples(outcomes(make_tools(), feedback=[rating(1, 5, "drum")]))
    assert made.lineage.raters == (Rater(),)
    (judged_alone,) = examples(outcomes(make_tools(), [judged("drum care", drum=1)]))
    assert judged_alone.lineage.raters == ()


def test_whoever_has_worded_the_query_is_noted(make_tools: MakeTools) -> None:
    """Though the rating counts for nothing: its words stand in the example as they were typed."""
    ratings = [
        rating(1, 5, "drum", user_id="cleo"),
        rating(2, 3, "filter", query="HOW to clean it", user_id="ann"),
    ]
    (made,) = examples(outcomes(make_tools(), feedback=ratings))
    assert made.query == "HOW to clean it"
    assert made.lineage.raters == (Rater(user_id="cleo"), Rater(user_id="ann"))
    assert made.lineage.feedback_ids == ("f1", "f2")


def test_thresholds_are_those_of_the_settings(make_tools: MakeTools) -> None:
    (made,) = examples(outcomes(make_tools(positive_rating=3, negative_rating=1), feedback=[rating(1, 3, "drum")]))
    assert made.label == 1.0


def test_conflicting_ratings_are_merged(make_tools: MakeTools) -> None:
    """The query may be written in another case; the newer rating counts more."""
    old = rating(1, 1, "drum", query="How to  clean it", created_at=NOW - timedelta(days=900))
    found = outcomes(make_tools(), feedback=[old, rating(2, 5, "drum")])
    (made,) = examples(found)
    assert made.label == 1.0
    assert made.lineage.feedback_ids == ("f1", "f2")
    assert made.metadata["votes"] == 2


def test_a_judgement_outweighs_a_rating(make_tools: MakeTools) -> None:
    """Query and ratings meet by the query's words; a rating that agrees is named in the lineage."""
    queries = [judged("drum care", drum=2, travel=0)]
    ratings = [rating(1, 1, "drum", query="Drum care"), rating(2, 5, "travel", query="drum  care")]
    found = outcomes(make_tools(), queries, ratings)
    (made,) = examples(found)
    assert (made.response, made.negatives) == (CORPUS["drum"], (CORPUS["travel"],))
    assert reasons(found) == {"the rating contradicts a judgement": 2}
    (agreed,) = examples(outcomes(make_tools(), queries, [rating(3, 5, "drum", query="drum care")]))
    assert agreed.lineage.feedback_ids == ("f3",)


def test_a_passage_without_an_id_is_recovered(make_tools: MakeTools) -> None:
    """By query and answer together; it says by which search, and is weak."""
    unnamed = rating(1, 5, response="Clean the steel drum with a dry brush, after each roast.", query="how to clean?")
    (made,) = examples(outcomes(make_tools(), feedback=[unnamed]))
    assert (made.response, made.weak, made.weight) == (CORPUS["drum"], True, 0.5)
    assert made.metadata["recovered"] == "bm25"
    assert made.lineage.document_ids == ("drum",)


def test_a_passage_is_recovered_by_vectors_where_there_is_an_encoder(make_tools: MakeTools) -> None:
    unnamed = rating(1, 5, response=CORPUS["drum"], query="drum")
    (made,) = examples(outcomes(make_tools(encoder=HashEncoder(64)), feedback=[unnamed]))
    assert made.weak
    assert made.metadata.get("recovered") in {"dense", None}


def test_an_answer_stands_in_where_no_passage_stands_out(make_tools: MakeTools) -> None:
    answer = "The warranty covers the heater for three years."
    (made,) = examples(outcomes(make_tools(), feedback=[rating(1, 5, query="warranty?", response=answer)]))
    assert (made.response, made.weak, made.metadata["kind"]) == (answer, True, "answer")
    assert made.lineage.document_ids == ()


def test_two_passages_that_are_alike_are_not_chosen_from(make_tools: MakeTools) -> None:
    texts = {"a": "Clean the steel drum with a brush.", "b": "Clean the steel drum with a brush, too."}
    (made,) = examples(
        outcomes(make_tools(texts), feedback=[rating(1, 5, response="Clean the steel drum with a brush.")])
    )
    assert made.metadata["kind"] == "answer"


def test_an_unjudged_query_is_searched_for_or_rejected(make_tools: MakeTools) -> None:
    clear = JudgedQuery(id="a", text="clean steel drum roaster brush")
    unclear = JudgedQuery(id="b", text="opening hours of the shop in Leeds")
    found = outcomes(make_tools(), [clear, unclear])
    (made,) = examples(found)
    assert (made.query, made.response, made.weak) == (clear.text, CORPUS["drum"], True)
    assert reasons(found) == {"no document is known, and none stands out": 1}


def test_unknown_ids_are_told(make_tools: MakeTools) -> None:
    queries = [judged("opening hours", gone=2), judged("drum care", drum=1, gone=1)]
    ratings = [rating(1, 5, "gone", query="drum care"), rating(2, 1, "gone"), rating(3, 1, query="why")]
    found = outcomes(make_tools(), queries, ratings)
    assert [one.response for one in examples(found)] == [CORPUS["drum"]]
    assert reasons(found) == {
        "a judged document is not in the corpus": 2,
        "a good rating names no known document": 1,
        "a bad rating names no known document": 2,
        "no document is known, and none stands out": 1,
    }


def test_of_a_divided_document_the_best_part_is_taken(make_tools: MakeTools) -> None:
    parts = {
        "guide#1": ("Unpack the roaster and put it on a level table.", "guide"),
        "guide#2": ("Clean the steel drum with a dry brush.", "guide"),
    }
    for encoder in (None, HashEncoder(32)):
        (made,) = examples(outcomes(make_tools(parts, encoder=encoder), [judged("how to clean the drum", guide=1)]))
        assert made.weak
        assert made.metadata["part_of"] == "guide"
        assert made.lineage.document_ids[0].startswith("guide#")
        if encoder is None:
            assert made.lineage.document_ids == ("guide#2",)


def test_a_query_gives_no_more_than_the_limit(make_tools: MakeTools) -> None:
    found = outcomes(make_tools(max_examples_per_query=2), [judged("drum care", drum=1, filter=3, returns=2)])
    assert [one.lineage.document_ids for one in examples(found)] == [("filter",), ("returns",)]
    assert reasons(found) == {"enough examples of its query": 1}


def test_without_sources_it_says_what_to_give(make_tools: MakeTools) -> None:
    with pytest.raises(GenerationError, match="queries= or feedback="):
        outcomes(make_tools())


IDS = st.sampled_from([*CORPUS, "gone", "lost"])
QUERIES = st.sampled_from(["drum care", "Drum  Care", "how to clean it", "when to change the filter", "x"])
RATINGS = st.builds(
    lambda number, query, stars, ids, response, days: rating(
        number, stars, *ids, query=query, response=response, created_at=NOW - timedelta(days=days)
    ),
    st.integers(0, 10**6),
    QUERIES,
    st.floats(1, 5),
    st.lists(IDS, max_size=3, unique=True),
    st.sampled_from([None, CORPUS["drum"], "Nobody knows."]),
    st.integers(0, 4000),
)
JUDGED = st.builds(
    lambda number, query, judgements: JudgedQuery(id=f"q{number}", text=query, judgements=judgements),
    st.integers(0, 10**6),
    QUERIES,
    st.none() | st.dictionaries(IDS, st.integers(0, 3), max_size=4),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    queries=st.lists(JUDGED, max_size=5), ratings=st.lists(RATINGS, max_size=8), draw=st.randoms(use_true_random=False)
)
def test_no_sources_break_it_and_their_order_changes_nothing(
    make_tools: MakeTools, queries: list[JudgedQuery], ratings: list[FeedbackRecord], draw: object
) -> None:
    """No passage is both found and not to be found for one query, and every outcome is the same in any order."""
    tools = make_tools()
    found = outcomes(tools, queries, ratings)
    shuffled = [list(queries), list(ratings)]
    for one in shuffled:
        draw.shuffle(one)  # type: ignore[attr-defined]
    again = outcomes(tools, *shuffled)
    assert sorted(map(repr, found)) == sorted(map(repr, again))
    for one in examples(found):
        assert one.response not in one.negatives
        assert one.weight > 0
        wanted = {other.response for other in examples(found) if other.query == one.query and other.label}
        if one.lineage.query_id is None:
            assert wanted.isdisjoint(one.negatives)
