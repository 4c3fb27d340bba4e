"""Reading judged retrieval sets."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ragtime.errors import StorageError
from ragtime.records import Document
from ragtime.utils.retrieval_sets import load_retrieval_set


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small set in the layout with names of our own."""
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "corpus.jsonl").write_text(
        '{"id": "d1", "title": "Reset", "text": "Hold the button.", "lang": "en"}\n{"id": "d2", "text": "Call us."}\n'
    )
    (folder / "queries-test.jsonl").write_text('{"id": "q1", "text": "How?"}\n{"id": "q2", "text": "Who?"}\n')
    (folder / "qrels-test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\n\nq1\td2\t0\n")
    return folder


def test_a_set_is_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    found = load_retrieval_set(folder)
    assert found.name == "handbook"
    assert found.queries == {"q1": "How?"}  # the other one is not judged
    assert found.corpus["d1"] == Document(id="d1", title="Reset", text="Hold the button.", metadata={"lang": "en"})
    assert found.judgements == {"q1": {"d1": 2, "d2": 0}}
    (event,) = [record for record in caplog.records if record.levelno == logging.INFO]
    assert event.getMessage() == "load_retrieval_set finished"
    assert (vars(event)["documents"], vars(event)["judged"]) == (2, 1)


def test_the_layout_of_the_beir_collection_is_read(folder: Path) -> None:
    (folder / "queries-test.jsonl").rename(folder / "queries.jsonl")
    (folder / "qrels").mkdir()
    (folder / "qrels-test.tsv").rename(folder / "qrels" / "test.tsv")
    (folder / "corpus.jsonl").write_text(
        '{"_id": "d1", "title": "", "text": "a", "metadata": {"x": 1}}\n{"_id": "d2", "text": "b"}\n'
    )
    found = load_retrieval_set(folder, split="test")
    assert found.corpus["d1"] == Document(id="d1", text="a", metadata={"x": 1})


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("corpus.jsonl", '{"id": "d1"}\n', "corpus.jsonl, line 1: text: must not be blank"),
        ("corpus.jsonl", '{"text": "x"}\n', "corpus.jsonl, line 1: no id"),
        ("corpus.jsonl", '{"id": true, "text": "x"}\n', "corpus.jsonl, line 1: no id"),
        ("corpus.jsonl", '{"id": "d1", "text": "x"}\nnonsense\n', "corpus.jsonl, line 2: not JSON, at column 1"),
        (
            "corpus.jsonl",
            '{"id": "d1", "text": "x"}\n{"id": "d1", "text": "y"}\n',
            "line 2: another document with the id 'd1'",
        ),
        ("corpus.jsonl", '{"id": "d1", "text": "x"}\n', "1 judged documents are not in the corpus: 'd2'"),
        ("queries-test.jsonl", '{"id": "q1", "text": " "}\n', "queries-test.jsonl, line 1: no text"),
        ("queries-test.jsonl", '{"id": "q7", "text": "x"}\n', "1 judged queries are not among the queries: 'q1'"),
        (
            "qrels-test.tsv",
            "header\nq1\td1\n",
            "qrels-test.tsv, line 2: expected query id, document id and a whole grade",
        ),
        (
            "queries-test.jsonl",
            '{"id": "q1", "text": "x"}\n{"id": "q1", "text": "y"}\n',
            "line 2: another query with the id",
        ),
        ("qrels-test.tsv", "h\nq1\td1\t1\nq1\td1\t0\n", "line 3: another grade for 'q1' and 'd1'"),
        ("qrels-test.tsv", "h\n", "there are no judgements in it"),
        ("qrels-test.tsv", "", "there are no judgements in it"),
        ("qrels-test.tsv", "header\nq1\td1\tgood\n", "qrels-test.tsv, line 2: expected query id"),
        ("qrels-test.tsv", "header\nq1\td1\t-1\n", "qrels-test.tsv, line 2: a negative grade"),
    ],
)
def test_a_malformed_set_names_file_and_line(folder: Path, file: str, content: str, message: str) -> None:
    (folder / file).write_text(content)
    with pytest.raises(StorageError) as caught:
        load_retrieval_set(folder)
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("missing", ["corpus.jsonl", "queries-test.jsonl", "qrels-test.tsv"])
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(StorageError, match=f"There is no {missing}"):
        load_retrieval_set(folder)


def test_judgements_without_a_header_lose_nothing(folder: Path) -> None:
    (folder / "qrels-test.tsv").write_text("q1\td1\t2\nq1\td2\t0\n")
    assert load_retrieval_set(folder).judgements == {"q1": {"d1": 2, "d2": 0}}


def test_judgements_that_are_no_utf_8(folder: Path) -> None:
    (folder / "qrels-test.tsv").write_bytes(b"h\nq\xff\td1\t1\n")
    with pytest.raises(StorageError, match="is not UTF-8"):
        load_retrieval_set(folder)


def test_a_long_field_is_fine(folder: Path) -> None:
    key = "q" * 200_000
    (folder / "queries-test.jsonl").write_text(f'{{"id": "{key}", "text": "x"}}\n')
    (folder / "qrels-test.tsv").write_text(f"{key}\td1\t1\n")
    assert list(load_retrieval_set(folder).queries) == [key]
