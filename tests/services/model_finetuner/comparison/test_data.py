"""What models are measured on: whatever form it is given in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner import EvaluationData
from ragtime.services.training_data_gen import TrainingDataGenerator
from ragtime.utils.hashing import text_hash

ROWS = [("free returns?", "30 days."), ("delivery?", "2 days."), ("delivery?", "Two days, by post.")]
JUDGED = RetrievalSet.from_documents(
    [Document(id=name, text=f"text of {name}") for name in "abc"],
    {"q1": "which?", "q2": "who?", "q3": "unjudged?"},
    {"q1": {"a": 1}, "q2": {"b": 2, "c": 1}},
    name="handbook",
)


def test_examples_are_asked_by_their_queries() -> None:
    data = EvaluationData.of(ROWS)
    assert data.name == "examples"
    assert sorted(data.questions.values()) == ["delivery?", "free returns?"]
    assert data.questions[text_hash("delivery?")[:32]] == "delivery?"
    assert sorted(data.validation.passages) == ["2 days.", "30 days.", "Two days, by post."]
    assert data.validation.left_out == 0


def test_a_retrieval_set_keeps_its_ids() -> None:
    data = EvaluationData.of(JUDGED)
    assert (data.name, dict(data.questions)) == ("handbook", {"q1": "which?", "q2": "who?"})
    assert EvaluationData.of(JUDGED, name="other").name == "other"
    assert EvaluationData.of(data) is data


def test_the_fingerprint_is_that_of_the_content() -> None:
    assert EvaluationData.of(ROWS).fingerprint == EvaluationData.of(ROWS[::-1]).fingerprint
    assert EvaluationData.of(ROWS).fingerprint != EvaluationData.of(ROWS[:2]).fingerprint
    other = RetrievalSet.from_documents(
        JUDGED.corpus.values(), JUDGED.queries, {"q1": {"a": 2}, "q2": {"b": 2, "c": 1}}
    )
    assert EvaluationData.of(JUDGED).fingerprint != EvaluationData.of(other).fingerprint
    texts = RetrievalSet.from_documents(
        [Document(id=name, text=f"text of {name}!") for name in "abc"], JUDGED.queries, JUDGED.judgements
    )
    assert EvaluationData.of(JUDGED).fingerprint != EvaluationData.of(texts).fingerprint


def test_a_file_of_examples_is_named_after_it(tmp_path: Path) -> None:
    file = tmp_path / "held.jsonl"
    file.write_text("".join(json.dumps({"query": query, "response": response}) + "\n" for query, response in ROWS))
    for given in (file, str(file)):
        data = EvaluationData.of(given)
        assert data.name == "held.jsonl"
        assert data.fingerprint == EvaluationData.of(ROWS).fingerprint


def test_a_folder_in_the_layout_of_beir_is_read(tmp_path: Path) -> None:
    corpus = [{"id": name, "text": f"text of {name}"} for name in "abc"]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in corpus))
    queries = [{"id": key, "text": text} for key, text in JUDGED.queries.items()]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (tmp_path / "qrels-test.tsv").write_text("q1\ta\t1\nq2\tb\t2\nq2\tc\t1\n")
    assert EvaluationData.of(tmp_path).fingerprint == EvaluationData.of(JUDGED).fingerprint


def test_of_a_generated_data_set_the_held_out_part_is_read(tmp_path: Path) -> None:
    report = TrainingDataGenerator().generate_dataset(100, folder=tmp_path / "data")
    data = EvaluationData.of(report.folder)
    assert data.name == "data"
    assert 0 < len(data.questions) <= report.parts["test"]
    trained = {json.loads(line)["query"] for line in (report.folder / "train.jsonl").read_text().splitlines()}
    assert not trained & set(data.questions.values())
    assert len(data.validation.passages) > 200  # all passages are searched

    (report.folder / "evaluation").rename(tmp_path / "elsewhere")
    with pytest.raises(InvalidArgumentError, match="no held-out part"):
        EvaluationData.of(report.folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the data are empty"),
        ([("who?", "Ann."), ("where?", "Ann.")], "2 examples have one passage in all"),
        ([("who?", "Ann.", 0.1)], "no response fits"),
        (RetrievalSet(queries={"q": "which?"}, corpus=JUDGED.corpus, judgements={}), "no judgements"),
        (7, "found int"),
    ],
)
def test_what_tells_nothing_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        EvaluationData.of(data)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(StorageError, match=r"nowhere\.jsonl"):
        EvaluationData.of("nowhere.jsonl")


@pytest.mark.parametrize("text", ["How long are returns free? " * 40, "a\0b"])
def test_a_text_instead_of_a_path_is_told(text: str) -> None:
    with pytest.raises(StorageError, match="a text is taken as a path"):
        EvaluationData.of(text)


def test_few_texts_can_be_asked_for() -> None:
    rows = [(f"where is {name}?", f"{name} is here.") for name in "abcdefghijklmnopqrstuvwxyz"]
    data = EvaluationData.of(rows, max_texts=20)
    assert len(data.validation.queries) + len(data.validation.passages) == 20
    assert len(EvaluationData.of(JUDGED, max_texts=3).questions) == 1
