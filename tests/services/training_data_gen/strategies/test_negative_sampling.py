"""Negatives: never a positive or a copy of one, what was rated bad is used, and small or odd corpora break nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.services.training_data_gen import GenerationError, TrainingDataGenerator, TrainingExample
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.testing import HashEncoder
from tests.services.training_data_gen.toy_strategy import WORDS

ENCODERS = [pytest.param(None, id="words"), pytest.param(HashEncoder(), id="vectors")]


def passages(count: int) -> list[dict[str, str]]:
    rng = random.Random(7)  # noqa: S311 - repeatable on purpose
    return [
        {"id": f"d{number:03}", "text": f"The kettle of lot {number} needs {' '.join(rng.choices(WORDS, k=12))}."}
        for number in range(count)
    ]


def generator(folder: Path, encoder: Any = None, **given: Any) -> TrainingDataGenerator:
    settings = Settings.isolated(
        data_dir=folder, logging__progress="off", training_data__max_examples_per_query=given.pop("most", 5)
    )
    return TrainingDataGenerator(settings, encoder=encoder, **given)


def mined(made: TrainingDataGenerator) -> list[TrainingExample]:
    return list(made.iter_training_data(strategy="negative_sampling", validation=False))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_judged_document_is_a_negative_however_few_examples_its_query_may_make(tmp_path: Path, encoder: Any) -> None:
    documents = passages(1200)
    judged = {f"d{number:03}": 1 for number in range(12)}
    queries = [{"id": "q", "text": "What does the kettle of lot 3 need?", "judgements": judged}]
    made = mined(generator(tmp_path, encoder, documents=documents, queries=queries, most=1))
    assert len(made) == 1
    assert not judged.keys() & set(made[0].metadata["negative_ids"])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_positive_of_a_near_duplicate_query_is_a_negative(tmp_path: Path, encoder: Any) -> None:
    queries = [
        {"id": "one", "text": "What does the kettle of lot 1 need to boil?", "judgements": {"d001": 1}},
        {"id": "two", "text": "what does the  kettle of lot 1 need to boil", "judgements": {"d002": 1}},
    ]
    made = mined(generator(tmp_path, encoder, documents=passages(40), queries=queries))
    assert len(made) == 2
    for example in made:
        assert not {"d001", "d002"} & set(example.metadata["negative_ids"])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_copy_of_a_positive_is_a_negative_and_no_two_negatives_are_copies(tmp_path: Path, encoder: Any) -> None:
    documents = passages(20)
    copies = [{"id": f"copy-{one['id']}", "text": one["text"]} for one in documents]
    near = [{"id": f"near-{one['id']}", "text": one["text"].upper() + "!"} for one in documents]
    queries = [{"id": "q", "text": "kettle of lot 5 needs what", "judgements": {"d005": 1}}]
    made = mined(generator(tmp_path, encoder, documents=[*documents, *copies, *near], queries=queries))
    (example,) = made
    assert not [one for one in example.metadata["negative_ids"] if one.endswith("d005")]
    names = [one[-4:] for one in example.metadata["negative_ids"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_documents_that_were_rated_bad_come_first(tmp_path: Path, encoder: Any) -> None:
    feedback = [
        {"id": "1", "query": "What does lot 1 need?", "response": "A.", "rating": 5, "document_ids": ["d001"]},
        {"id": "2", "query": "What does lot 1 need?", "response": "B.", "rating": 1, "document_ids": ["d017"]},
    ]
    documents = passages(30)
    (example,) = mined(generator(tmp_path, encoder, documents=documents, feedback=feedback))
    assert example.response == documents[1]["text"]
    assert example.negatives[0] == documents[17]["text"]
    assert example.metadata["negative_ids"].count("d017") == 1
    assert len(example.negatives) >= 3


@pytest.mark.parametrize("encoder", ENCODERS)
def test_given_examples_keep_their_negatives_and_heed_what_judgements_say(tmp_path: Path, encoder: Any) -> None:
    documents = passages(12)
    text = "What does the kettle of lot 4 need?"
    example = TrainingExample(query=text, response=documents[4]["text"], negatives=["Something else.", "And more."])
    judged = {f"d{number:03}": int(number != 9) for number in range(10)}
    queries = [{"id": "q", "text": text, "judgements": judged}]
    (made,) = generator(tmp_path, encoder, documents=documents, queries=queries).add_negatives([example])
    assert made.response == example.response
    assert made.negatives[:2] == ("Something else.", "And more.")
    assert "d009" in made.metadata["negative_ids"]
    assert not {f"d{number:03}" for number in range(9)} & set(made.metadata["negative_ids"])
    assert made.lineage.example_ids == (example.id,)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_of_small_corpora_each_example_has_a_negative_or_a_reason(tmp_path: Path, encoder: Any, size: int) -> None:
    documents = passages(size)
    given = [
        TrainingExample(query=f"kettle lot {number}", response=document["text"])
        for number, document in enumerate(documents)
    ]
    made = generator(tmp_path, encoder, documents=documents)
    found = made.add_negatives(given)
    for example in found:
        assert example.negatives
        assert example.response not in example.negatives
    assert len(found) + sum(made.metrics.rejected.values()) == size
    if size == 1:
        assert made.metrics.rejected == {"no passage is close without being a positive": 1}


def test_examples_that_cannot_be_mined_for_are_counted_by_reason(tmp_path: Path) -> None:
    documents = passages(10)
    made = generator(tmp_path, documents=documents)
    given = [
        TrainingExample(query="kettle lot 2", response=documents[2]["text"]),
        TrainingExample(query="kettle lot 3", response=documents[3]["text"], label=0.0),
        TrainingExample(query="What is a heron?", response="A bird that nobody has described here."),
    ]
    assert [example.query for example in made.add_negatives(given)] == ["kettle lot 2"]
    assert made.metrics.rejected == {
        "its passage is not in the corpus": 1,
        "its response is not what its query should retrieve": 1,
    }


def test_a_query_that_matches_nothing_gets_a_random_negative(tmp_path: Path) -> None:
    documents = passages(30)
    queries = [{"id": "q", "text": "zzz qqq", "judgements": {"d003": 1}}]
    (example,) = mined(generator(tmp_path, documents=documents, queries=queries))
    assert example.metadata["negative_grades"] == ["random"]
    assert example.metadata["negative_scores"] == [None]


def test_words_give_all_grades(tmp_path: Path) -> None:
    documents = passages(150)
    documents += [
        {"id": f"x{n}", "text": f"Nothing shared, entry number {n} about {WORDS[n % 20]}s"} for n in range(99)
    ]
    queries = [
        {"id": f"q{n}", "text": f"What does the kettle of lot {n} need?", "judgements": {f"d{n:03}": 1}}
        for n in range(20)
    ]
    made = mined(generator(tmp_path, documents=documents, queries=queries))
    assert len(made) == 20
    for example in made:
        assert example.metadata["negative_grades"] == ["hard", "hard", "hard", "in_between", "random"]
        assert len(set(map(normalize_text, example.negatives))) == 5


@pytest.mark.parametrize("encoder", ENCODERS)
def test_copied_texts_never_come_back_as_negatives_of_random_corpora(tmp_path: Path, encoder: Any) -> None:
    rng = random.Random(11)  # noqa: S311 - repeatable on purpose
    for number in range(6):
        documents = passages(rng.randint(3, 25))
        documents += [{"id": f"c{n}", "text": rng.choice(documents)["text"]} for n in range(rng.randint(0, 9))]
        ids = [document["id"] for document in documents]
        texts = {document["id"]: document["text"] for document in documents}
        queries = [
            {
                "id": f"q{n}",
                "text": f"What does the kettle of lot {rng.randrange(4)} need?",
                "judgements": {one: rng.randint(0, 1) for one in rng.sample(ids, rng.randint(1, 3))},
            }
            for n in range(6)
        ]
        positives: dict[str, set[str]] = {}
        for query in queries:
            good = {texts[one] for one, grade in query["judgements"].items() if grade}  # type: ignore[attr-defined]
            positives.setdefault(normalize_text(str(query["text"])), set()).update(good)
        for example in mined(generator(tmp_path / str(number), encoder, documents=documents, queries=queries)):
            assert example.negatives
            assert not positives[normalize_text(example.query)] & set(example.negatives)


def test_without_a_document_there_is_nothing_to_mine(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="mines documents"):
        generator(tmp_path, queries=[{"id": "q", "text": "Why?"}]).generate_training_data(1, "negative_sampling")
