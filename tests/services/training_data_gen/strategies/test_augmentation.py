"""Variations of queries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import BackendError, GenerationError
from ragtime.records import Document
from ragtime.records.training import Lineage
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.run import prepared_run
from ragtime.services.training_data_gen.sources import Sources
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies import Rejected, get_strategy
from ragtime.services.training_data_gen.strategies.augmentation import AugmentationStrategy
from ragtime.services.training_data_gen.strategies.base import Outcome
from ragtime.testing import HashEncoder, ScriptedGenerator, mock_dataset
from ragtime.utils.hashing import keyed_random

LOST = Rejected("the variation no longer finds its passage")


@pytest.fixture
def documents() -> list[Document]:
    return list(mock_dataset().corpus.values())


@pytest.fixture
def parents() -> list[TrainingExample]:
    """The judged queries of the household set as examples."""
    data = mock_dataset()
    return [
        TrainingExample(
            query=query,
            response=data.corpus[document].content,
            negatives=("Something else.",),
            context="Hello.",
            weight=2.0,
            lineage=Lineage(source="queries", query_id=key, document_ids=(document,), user_id="ann"),
        )
        for key, query in data.judged_queries.items()
        for document in data.relevant(key)
    ]


@contextmanager
def ready(
    documents: Sequence[Document],
    examples: Sequence[TrainingExample],
    folder: Path,
    *,
    generator: ScriptedGenerator | None = None,
    encoder: HashEncoder | None = None,
    **options: object,
) -> Iterator[tuple]:
    chosen = Settings.isolated(data_dir=folder, logging__progress="off", **options)
    sources = Sources(documents=lambda: iter(documents), examples=lambda: iter(examples))
    strategy = AugmentationStrategy()
    with prepared_run(chosen, sources, [strategy], encoder=encoder, generator=generator) as run:
        yield run.tools, list(strategy.units(Reading(sources), run.tools))


def varied(
    documents: Sequence[Document], examples: Sequence[TrainingExample], folder: Path, **options: object
) -> list[list[Outcome]]:
    with ready(documents, examples, folder, **options) as (tools, units):
        return AugmentationStrategy().make(units, tools)


def normal(query: str) -> str:
    return " ".join(query.casefold().split())


def test_each_variation_is_another_query_for_the_same_passage(
    documents: list[Document], parents: list[TrainingExample], tmp_path: Path
) -> None:
    for parent, outcomes in zip(parents, varied(documents, parents, tmp_path), strict=True):
        examples = [one for one in outcomes if isinstance(one, TrainingExample)]
        assert len(examples) >= 3
        queries = [normal(one.query) for one in examples]
        assert normal(parent.query) not in queries
        assert len(queries) == len(set(queries))
        for example in examples:
            assert example.lineage.example_ids == (parent.id,)
            assert example.metadata["method"]
            assert example.strategy == "augmentation"
            assert (example.response, example.negatives, example.context) == (
                parent.response,
                parent.negatives,
                parent.context,
            )
            assert (example.label, example.weight) == (parent.label, parent.weight)
            assert example.lineage.document_ids == parent.lineage.document_ids
            assert (example.lineage.user_id, example.lineage.query_id) == ("ann", parent.lineage.query_id)


def test_variations_are_of_several_kinds(
    documents: list[Document], parents: list[TrainingExample], tmp_path: Path
) -> None:
    examples = [one for outcomes in varied(documents, parents, tmp_path) for one in outcomes]
    methods = {one.metadata["method"] for one in examples if isinstance(one, TrainingExample)}
    assert {"form", "keywords", "typo", "casing"} <= methods
    by_method = {(one.metadata["method"], one.query) for one in examples if isinstance(one, TrainingExample)}
    assert ("keywords", "descale kettle") in by_method


def test_a_variation_that_no_longer_finds_its_passage_is_rejected(
    documents: list[Document], parents: list[TrainingExample], tmp_path: Path
) -> None:
    elsewhere = [
        parent.model_copy(update={"lineage": Lineage(document_ids=("printer",))})
        for parent in parents
        if "printer" not in parent.lineage.document_ids
    ]
    outcomes = varied(documents, elsewhere, tmp_path, training_data__round_trip_rank=1)
    found = [one for some in outcomes for one in some]
    assert found
    assert found.count(LOST) > len(found) * 0.9


def test_the_encoder_searches_where_there_is_one(
    documents: list[Document], parents: list[TrainingExample], tmp_path: Path
) -> None:
    encoder = HashEncoder()
    outcomes = varied(documents, parents[:2], tmp_path, encoder=encoder)
    queries = [one.query for some in outcomes for one in some if isinstance(one, TrainingExample)]
    assert queries
    embedded = {text for call in encoder.calls for text in call}
    assert set(queries) <= embedded


def test_examples_without_a_passage_in_the_corpus_are_varied_unchecked_and_it_is_noted(
    documents: list[Document], parents: list[TrainingExample], tmp_path: Path
) -> None:
    strangers = [parent.model_copy(update={"lineage": Lineage()}) for parent in parents[:3]]
    with ready(documents, strangers, tmp_path) as (tools, units):
        outcomes = AugmentationStrategy().make(units, tools)
        assert any("not in the corpus" in note for note in tools.notes)
    assert all(isinstance(one, TrainingExample) for some in outcomes for one in some)


def test_what_cannot_be_varied_is_rejected_with_a_reason(documents: list[Document], tmp_path: Path) -> None:
    negative = TrainingExample(query="How do I descale the kettle?", response="No.", label=0.0)
    endless = TrainingExample(query="kettle " * 100, response="Yes.")
    bare = TrainingExample(query="kit", response="Yes.")
    reasons = {some[0] for some in varied(documents, [negative, endless, bare], tmp_path)}
    assert reasons == {
        Rejected("its response is not what its query should retrieve"),
        Rejected("its query is too long to vary"),
        Rejected("no other way to ask its query is known"),
    }


def test_without_anything_to_start_from_it_says_what_to_give(tmp_path: Path) -> None:
    chosen = Settings.isolated(data_dir=tmp_path, logging__progress="off")
    strategy = AugmentationStrategy()
    with (
        pytest.raises(GenerationError, match="examples="),
        prepared_run(chosen, Sources(), [strategy], encoder=None, generator=None),
    ):
        pass


def test_variations_depend_on_nothing_beside_their_example(
    documents: list[Document], parents: list[TrainingExample], tmp_path: Path
) -> None:
    with ready(documents, parents, tmp_path) as (tools, units):
        together = AugmentationStrategy().make(units, tools)
        alone = [AugmentationStrategy().make([unit], tools)[0] for unit in reversed(units)]
    assert together == alone[::-1]


def test_synonyms_come_from_the_corpus(tmp_path: Path) -> None:
    text = "A Large Language Model (LLM) writes the answer. The LLM is small and runs on the laptop."
    parent = TrainingExample(
        query="Which large language model runs on the laptop?", response=text, lineage=Lineage(document_ids=("llm",))
    )
    (outcomes,) = varied([Document(id="llm", text=text)], [parent], tmp_path)
    found = {one.query: one for one in outcomes if isinstance(one, TrainingExample)}
    assert found["Which LLM runs on the laptop?"].metadata["method"] == "synonym"
    assert found["Which LLM runs on the laptop?"].weak


def test_a_model_paraphrases_and_keeps_numbers(documents: list[Document], tmp_path: Path) -> None:
    parent = TrainingExample(
        query="How do I descale the kettle in 2 steps?", response="-", lineage=Lineage(document_ids=("kettle",))
    )
    answer = '["2 steps to get limescale out of a kettle", "kettle limescale", "descale a kettle in 2 steps"]'
    with ready(documents, [parent], tmp_path, generator=ScriptedGenerator([answer])) as (tools, units):
        (outcomes,) = AugmentationStrategy().make(units, tools)
        assert any("too few" in note for note in tools.notes)
    paraphrases = [one.query for one in outcomes if one != LOST and one.metadata["method"] == "paraphrase"]
    assert paraphrases == ["2 steps to get limescale out of a kettle", "descale a kettle in 2 steps"]


def test_a_model_that_fails_costs_the_paraphrases_alone(
    documents: list[Document], parents: list[TrainingExample], tmp_path: Path
) -> None:
    plain = varied(documents, parents[:3], tmp_path / "plain")
    generator = ScriptedGenerator([BackendError("gone"), "Sorry.", "[[["])
    with ready(documents, parents[:3], tmp_path / "failing", generator=generator) as (tools, units):
        failing = AugmentationStrategy().make(units, tools)
        assert any("BackendError" in note for note in tools.notes)
    assert [[getattr(one, "query", one) for one in some] for some in failing] == [
        [getattr(one, "query", one) for one in some] for some in plain
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("What happens if the lamp blinks?", "If the lamp blinks, what happens?"),
        ("If the lamp blinks, what happens?", "What happens if the lamp blinks?"),
        ("How do I reset the router in the kitchen?", "In the kitchen, how do I reset the router?"),
    ],
)
def test_clauses_change_places(query: str, expected: str, tmp_path: Path) -> None:
    parent = TrainingExample(query=query, response="It does.")
    (outcomes,) = varied([Document(id="other", text="Nothing here.")], [parent], tmp_path)
    assert expected in [one.query for one in outcomes]


@pytest.mark.parametrize("query", ["When did they leave, and when did they arrive?", "cabin without internet"])
def test_what_would_not_read_well_stays_in_its_order(query: str, tmp_path: Path) -> None:
    (outcomes,) = varied(
        [Document(id="other", text="Nothing here.")], [TrainingExample(query=query, response="It does.")], tmp_path
    )
    assert "reordered" not in {one.metadata["method"] for one in outcomes}


@pytest.mark.parametrize(
    ("query", "kept"),
    [("Why does the lamp not blink at all?", "not"), ("How much water do I pour in?", "how much")],
)
def test_what_changes_the_meaning_is_not_dropped(query: str, kept: str, tmp_path: Path) -> None:
    parent = TrainingExample(query=query, response="It does.")
    (outcomes,) = varied([Document(id="other", text="Nothing here.")], [parent], tmp_path)
    keywords = [one.query for one in outcomes if one.metadata["method"] == "keywords"]
    assert keywords
    assert all(re.search(rf"\b{kept}\b", query) for query in keywords)


@settings(max_examples=100)
@given(st.text(min_size=1, max_size=120), st.integers(0, 100))
def test_no_query_breaks_it(query: str, seed: int) -> None:
    from ragtime.services.training_data_gen.dedup.shingles import normalize_text as told
    from ragtime.services.training_data_gen.strategies.augmentation.variations import variations_of
    from ragtime.services.training_data_gen.text import CorpusWords, Synonyms

    words = CorpusWords.of([Document(id="1", text="The file system is small.")], 1)
    found = variations_of(query, words, Synonyms({}), lambda method: keyed_random(seed, method))
    texts = [told(text) for _, text in found]
    assert told(query) not in texts
    assert len(texts) == len(set(texts))
    assert all(texts)


def test_it_is_known_by_its_name() -> None:
    assert isinstance(get_strategy("augmentation"), AugmentationStrategy)
