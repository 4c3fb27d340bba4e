"""Queries: lists, mappings, files, folders and sets; their judgements, and what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records import Document, RetrievalSet
from ragtime.services.training_data_gen.sources import BadRecord, JudgedQuery
from ragtime.services.training_data_gen.sources.opening import SourceOptions, open_sources
from ragtime.services.training_data_gen.sources.queries import query_reader
from tests.services.training_data_gen.sources.reading import read


def _read(given_queries: object) -> tuple[list[JudgedQuery], list[BadRecord]]:
    return read(query_reader(given_queries, split="train"))


def test_queries_are_read_from_dicts_texts_and_records() -> None:
    judged = JudgedQuery(id="q0", text="Zero?", judgements={"d": 2})
    rows: list[object] = [
        judged,
        {"_id": 1, "text": "One?", "judgements": {"d1": 2, "d2": 0.0}},
        {"id": "q2", "query": "Two?", "document_ids": ["d1", "d2"]},
        {"id": "q3", "text": "Three?", "judgements": "d13"},
        "Four?",
    ]
    used, bad = _read(rows)
    assert bad == []
    assert used[0] == judged
    assert used[1] == JudgedQuery(id="1", text="One?", judgements={"d1": 2, "d2": 0})
    assert used[2].judgements == {"d1": 1, "d2": 1}
    assert used[3].judgements == {"d13": 1}
    assert (used[4].text, used[4].judgements, len(used[4].id)) == ("Four?", None, 64)


def test_a_mapping_is_one_of_texts_by_id() -> None:
    assert _read({"q1": "One?", "q2": "Two?"})[0] == [
        JudgedQuery(id="q1", text="One?"),
        JudgedQuery(id="q2", text="Two?"),
    ]


@pytest.mark.parametrize("wrong", [{"id": "q", "text": "One?"}, {"q": ["One?"]}, {"query": "One?"}])
def test_a_single_dict_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidArgumentError, match="put a single dict into a list"):
        query_reader(wrong, split="train")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (3, "record is neither a query, nor an object, nor a text"),
        ({"id": "q"}, "query is missing"),
        ({"text": ["One?"]}, "query is no text"),
        ("  ", "query is blank"),
        ("a\0", "query holds NUL characters"),
        ("a\ud800", "record cannot be kept"),
        ({"text": "One?", "judgements": {"d": -1}}, "grade of a document is no whole number from 0"),
        ({"text": "One?", "judgements": {"d": True}}, "grade of a document is no whole number from 0"),
        ({"text": "One?", "judgements": {"d": 0.5}}, "grade of a document is no whole number from 0"),
        ({"text": "One?", "judgements": [1]}, "judgements are neither grades by document id nor a list of ids"),
        ({"text": "One?", "judgements": {" ": 1}}, "judgements: must not be empty"),
    ],
)
def test_a_query_that_cannot_be_used_is_named(record: object, reason: str) -> None:
    used, bad = _read([record, "Good?"])
    assert [query.text for query in used] == ["Good?"]
    assert bad[0].where == "queries, record 1"
    assert bad[0].reason.startswith(reason)


def test_lines_of_a_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "queries.jsonl"
    path.write_text('{"id": "q", "text": "One?", "unseen": true}\n\n[1]\n{"id": "r", "query": "Two?"}\n')
    used, bad = _read(path)
    assert [query.id for query in used] == ["q", "r"]
    assert bad == [BadRecord("line is no JSON object", "queries.jsonl, line 3")]


def _beir(root: Path) -> Path:
    (root / "corpus.jsonl").write_text(json.dumps({"_id": "d", "title": "T", "text": "A passage."}) + "\n")
    (root / "queries.jsonl").write_text('{"_id": "q1", "text": "One?"}\n{"_id": "q2", "text": "Two?"}\n')
    (root / "qrels-train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td\t2\n")
    (root / "qrels-test.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td\t1\n")
    return root


def test_a_folder_is_read_by_its_training_part_and_brings_its_documents(tmp_path: Path) -> None:
    sources = open_sources(Settings(), queries=_beir(tmp_path))
    assert read(sources.queries)[0] == [JudgedQuery(id="q1", text="One?", judgements={"d": 2})]
    assert read(sources.documents)[0] == [Document(id="d", text="A passage.", title="T")]
    sources = open_sources(Settings(), queries=str(tmp_path), options=SourceOptions(split="test"))
    assert [query.id for query in read(sources.queries)[0]] == ["q2"]


def test_a_folder_without_the_part_is_refused_and_says_which_there_are(tmp_path: Path) -> None:
    (_beir(tmp_path) / "qrels-train.tsv").unlink()
    with pytest.raises(InvalidArgumentError, match=r"no judgements of 'train', but those of 'test'; name one"):
        open_sources(Settings(), queries=tmp_path)
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(InvalidArgumentError, match=r"queries: .* has no corpus\.jsonl"):
        open_sources(Settings(), queries=tmp_path, options=SourceOptions(split="test"))


def test_damage_of_a_folder_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    (_beir(tmp_path) / "queries.jsonl").write_text("nonsense\n")
    with pytest.raises(StorageError, match=r"queries\.jsonl, line 1"):
        list(query_reader(tmp_path, split="train")())


def test_a_retrieval_set_gives_all_its_queries() -> None:
    found = RetrievalSet.from_documents([Document(id="d", text="T")], {"q": "One?", "r": "Two?"}, {"q": {"d": 1}})
    assert [query.judgements for query in _read(found)[0]] == [{"d": 1}, None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150)
@given(
    st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "_id", "text", "query", "judgements"), JSON)) | JSON
    )
)
def test_no_record_ever_raises(records: list[object]) -> None:
    used, bad = _read(records)
    assert len(used) + len(bad) == len(records)
    assert all(JudgedQuery.model_validate_json(one.model_dump_json()) == one for one in used)
