"""Opening sources: the sample, checks at once, reading again, and what queries bring along."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from ragtime.config.settings import Settings
from ragtime.data import sample_retrieval_set
from ragtime.errors import InvalidArgumentError
from ragtime.records import Document, RetrievalSet
from ragtime.services.training_data_gen.sources import BadRecord
from ragtime.services.training_data_gen.sources.opening import SourceOptions, open_sources
from tests.services.training_data_gen.sources.reading import KINDS, given_kinds, read


def test_without_sources_the_sample_is_used_and_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sources = open_sources(Settings())
    assert sources.origin == "sample"
    assert given_kinds(sources) == set(KINDS)
    said = [
        record for record in caplog.records if "No sources were given: the packaged sample is used" in str(record.msg)
    ]
    assert len(said) == 1
    assert said[0].levelno == logging.INFO
    for kind in KINDS:
        used, bad = read(getattr(sources, kind))
        assert used
        assert bad == []


def test_the_sample_keeps_the_reserved_questions_out() -> None:
    sources = open_sources(Settings())
    reserved = set(sample_retrieval_set(reserved=True).queries.values())
    assert reserved
    assert not reserved & {query.text for query in read(sources.queries)[0]}
    assert not reserved & {example.query for example in read(sources.examples)[0]}


def test_examples_of_the_sample_hold_passages_of_the_sample() -> None:
    sources = open_sources(Settings())
    passages = {document.id: document.content for document in read(sources.documents)[0]}
    for example in read(sources.examples)[0]:
        assert passages[example.lineage.document_ids[0]] == example.response


def test_only_what_was_given_is_read() -> None:
    sources = open_sources(Settings(), documents=["A text."])
    assert sources.origin == "given"
    assert given_kinds(sources) == {"documents"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_list_is_given_and_not_replaced_by_the_sample(kind: str) -> None:
    sources = open_sources(Settings(), **{kind: []})
    assert sources.origin == "given"
    assert read(getattr(sources, kind)) == ([], [])


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_generator_gives_can_be_read_again(kind: str) -> None:
    record = {"text": "A text.", "query": "q?", "response": "r", "rating": 4, "turns": [{"role": "user", "text": "hm"}]}
    if kind == "examples":
        record = {"query": "q?", "response": "r"}
    used, bad = read(getattr(open_sources(Settings(), **{kind: (one for one in [record])}), kind))
    assert (len(used), bad) == (1, [])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given", [3, b"folder", {"text": 3}, object(), "no/such/place", Path("no-such-file.jsonl")])
def test_a_wrong_argument_is_refused_at_once_and_named(kind: str, given: object) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{kind}: ") as caught:
        open_sources(Settings(), **{kind: given})
    assert "expected" in str(caught.value) or "give" in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_a_path_and_no_list_of_characters(kind: str) -> None:
    secret = "How do I get my money back?\nPlease tell me. " * 300
    for text in (secret, secret.replace("\n", " "), "a\0b"):
        with pytest.raises(InvalidArgumentError) as caught:
            open_sources(Settings(), **{kind: text})
        assert "money" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "figures.xlsx").write_bytes(b"\0")
    with pytest.raises(
        InvalidArgumentError, match=rf"{kind}: found the file .*figures\.xlsx'; expected a file that ends"
    ):
        open_sources(Settings(), **{kind: tmp_path / "figures.xlsx"})


@pytest.mark.parametrize("kind", ["conversations", "feedback", "examples"])
def test_a_folder_where_a_file_is_meant_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{kind}: found the folder"):
        open_sources(Settings(), **{kind: tmp_path})


def test_a_retrieval_set_of_queries_brings_its_documents() -> None:
    judged = RetrievalSet.from_documents([Document(id="d", text="About returns.")], {"q": "returns?"}, {"q": {"d": 1}})
    sources = open_sources(Settings(), queries=judged)
    assert [document.id for document in read(sources.documents)[0]] == ["d"]
    other = open_sources(Settings(), queries=judged, documents=[Document(id="e", text="Another.")])
    assert [document.id for document in read(other.documents)[0]] == ["e"]


@pytest.mark.parametrize("name", ["turns_field", "rating_field", "split"])
@pytest.mark.parametrize("value", ["", 3])
def test_an_option_that_is_no_name_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        SourceOptions(**{name: value})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\x1f\x8b\x08\x00", "compressed by gzip; unpack it"),
        (b"\x28\xb5\x2f\xfd\x00", "compressed by Zstandard; unpack it"),
        ("{}".encode("utf-16"), "text in UTF-16; save it in UTF-8"),
        (b"\xfe\xff\x00{", "text in UTF-16; save it in UTF-8"),
    ],
)
@pytest.mark.parametrize("name", ["data.jsonl", "data.jsonl.gz"])
def test_a_file_that_only_looks_like_one_is_refused(
    kind: str, start: bytes, what: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(start)
    with pytest.raises(InvalidArgumentError, match=rf"^{kind}: .*{name}' is {what}, and give a file that ends with"):
        open_sources(Settings(), **{kind: tmp_path / name})


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_is_refused_and_not_waited_for(kind: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(InvalidArgumentError, match=rf"^{kind}: .* is no regular file"):
        open_sources(Settings(), **{kind: tmp_path / "pipe.jsonl"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_without_end_is_rejected_and_costs_no_other(kind: str, tmp_path: Path) -> None:
    good = {"text": "A text.", "query": "q?", "response": "r", "rating": 4, "turns": [{"role": "user", "text": "hm"}]}
    if kind == "examples":
        good = {"query": "q?", "response": "r"}
    with (tmp_path / "data.jsonl").open("wb") as file:
        file.truncate(65 * 2**20)  # a hole, which takes no room on the disk
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + json.dumps(good).encode() + b"\n")
    source = getattr(open_sources(Settings(), **{kind: tmp_path / "data.jsonl"}), kind)
    bad, used = source()
    assert bad == BadRecord("line has 64 MiB or more", "data.jsonl, line 1")
    assert not isinstance(used, BadRecord)
