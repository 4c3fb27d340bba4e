"""Documents: folders, files, lists, sets and stores; ids, sections, and what cannot be used."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.records import Document, RetrievalSet
from ragtime.services.training_data_gen.sources import BadRecord
from ragtime.services.training_data_gen.sources.documents import document_reader
from tests.services.training_data_gen.sources.reading import read, small_settings


def _folder(root: Path) -> Path:
    (root / "b").mkdir()
    (root / ".hidden").mkdir()
    (root / "a.md").write_text("# Returns\nFree.\n## How long\n30 days.\n", encoding="utf-8")
    (root / "b" / "page.HTML").write_text("<title>T</title><p>Hello.</p>", encoding="utf-8")
    (root / "b" / "notes.txt").write_text("\ufeffPlain notes.", encoding="utf-8")
    (root / "b" / "list.jsonl").write_text('{"_id": 7, "text": "Seven."}\nnonsense\n{"text": "x y", "page": 3}\n')
    (root / ".hidden" / "c.md").write_text("Hidden.")
    (root / ".d.md").write_text("Hidden.")
    (root / "logo.png").write_bytes(b"\x89PNG")
    return root


def test_a_folder_is_read_with_all_below_it_in_the_order_of_its_paths(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    used, bad = read(document_reader(_folder(tmp_path), Settings()))
    by_id = {document.id: document for document in used}
    assert [key for key in by_id if len(key) < 60] == [
        "a.md#returns", "a.md#how-long", "7", "b/notes.txt", "b/page.HTML",
    ]  # fmt: skip
    assert by_id["a.md#how-long"] == Document(
        id="a.md#how-long",
        text="30 days.",
        title="Returns \u203a How long",
        metadata={"parent": "a.md", "headings": ["Returns", "How long"], "start": 28, "end": 36},
    )
    assert by_id["b/page.HTML"].title == "T"
    assert by_id["b/notes.txt"].text == "Plain notes."
    assert bad == [BadRecord("line is no JSON object", "b/list.jsonl, line 2")]
    assert any("Files of other kinds are passed over" in str(record.msg) for record in caplog.records)


def test_one_bad_file_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x81")
    (tmp_path / "zero.md").write_bytes(b"a\0b")
    (tmp_path / "empty.md").write_text("\n \n")
    (tmp_path / "headings.md").write_text("# One\n## Two\n")
    (tmp_path / " padded.md").write_text("Text.")
    (tmp_path / "odd.html").write_text("<p>a</p><![unknown[ b ]]>")
    (tmp_path / "good.md").write_text("Good.")
    (tmp_path / "out.md").symlink_to("/nowhere/at/all.md")
    (tmp_path / "same.md").symlink_to(tmp_path / "good.md")
    (tmp_path / "up").symlink_to(tmp_path.parent)
    used, bad = read(document_reader(tmp_path, Settings()))
    assert [document.id for document in used] == ["good.md", "same.md"]
    assert {(one.where, one.reason) for one in bad} == {
        (" padded.md", "id: must not be empty, begin or end with white space, or hold tabs, line breaks or NUL"),
        ("binary.txt", "file is no text in UTF-8"),
        ("empty.md", "text is blank"),
        ("headings.md", "text is blank"),
        ("odd.html", "HTML cannot be parsed"),
        ("out.md", "link to a folder, or out of the folder"),
        ("up", "link to a folder, or out of the folder"),
        ("zero.md", "text holds NUL characters"),
    }


def test_a_folder_without_anything_to_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"")
    with pytest.raises(InvalidArgumentError, match=r"documents: the folder .* holds no file that ends with \.md"):
        document_reader(tmp_path, Settings())


def test_of_a_folder_with_a_corpus_the_corpus_alone_is_read(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"id": "d", "title": "", "text": "A passage."}\n')
    (tmp_path / "queries.jsonl").write_text('{"id": "q", "text": "A question?"}\n')
    used, bad = read(document_reader(str(tmp_path), Settings()))
    assert (used, bad) == ([Document(id="d", text="A passage.")], [])


def test_a_single_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Only this.")
    assert read(document_reader(tmp_path / "a.md", Settings()))[0] == [Document(id="a.md", text="Only this.")]


def test_dicts_texts_and_documents_may_be_mixed() -> None:
    given_documents = [
        Document(id="d1", text="One.", metadata={"parent": "book"}),
        {"_id": 2, "text": "Two.", "title": " ", "page": 4, "metadata": {"page": 5}},
        {"text": "Three.", "title": "T"},
        "Four.",
        {"id": "m", "text": "# H\nFive.", "format": "markdown"},
    ]
    used, bad = read(document_reader(given_documents, Settings()))
    assert bad == []
    assert used[0] == given_documents[0]
    assert used[1] == Document(id="2", text="Two.", metadata={"page": 5})
    assert used[2].content == "T\nThree."
    assert used[3].id == read(document_reader(["Four."], Settings()))[0][0].id
    assert (used[4].id, used[4].title, used[4].text) == ("m#h", "H", "Five.")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "record is neither a document, nor an object, nor a text"),
        ({"id": "a"}, "text is missing"),
        ({"id": "a", "text": ["a"]}, "text is no text"),
        ({"id": "a", "text": " \n"}, "text is blank"),
        ({"id": True, "text": "t"}, "id is no id"),
        ({"id": "a\nb", "text": "t"}, "id: must not be empty, begin or end with white space, or hold tabs"),
        ({"id": "a", "text": "t", "title": 3}, "title is no text"),
        ({"id": "a", "text": "t", "metadata": [1]}, "metadata is no object"),
        ({"id": "a", "text": "t", "metadata": {"secret name": object()}}, "metadata: "),
        ({"id": "a", "text": "t \ud800"}, "record cannot be kept"),
        ({"id": "a", "text": "t", "metadata": {"x": "\ud800"}}, "record cannot be kept"),
        ("a\0", "text holds NUL characters"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(record: object, reason: str) -> None:
    used, bad = read(document_reader([record, "Good."], Settings()))
    assert [document.text for document in used] == ["Good."]
    assert bad[0].where == "documents, record 1"
    assert bad[0].reason.startswith(reason)
    assert "secret" not in bad[0].reason


def test_long_passages_are_divided_and_name_where_they_stand() -> None:
    text = "First sentence here. Second one. " * 4
    document = Document(id="d", text=text, title="T", metadata={"page": 1})
    used, bad = read(document_reader([document], small_settings(max_passage_characters=60)))
    assert bad == []
    assert [one.id for one in used] == [f"d#{number}" for number in range(1, len(used) + 1)]
    for one in used:
        assert len(one.content) <= 60
        assert one.metadata["parent"] == "d"
        assert text[one.metadata["start"] : one.metadata["end"]] == one.text
        assert one.metadata["page"] == 1


def test_parts_of_a_section_name_the_whole_file(tmp_path: Path) -> None:
    text = "# A\nshort\n# B\n" + "One two three. " * 10
    (tmp_path / "a.md").write_text(text)
    used, _ = read(document_reader(tmp_path, small_settings(max_passage_characters=50)))
    assert [one.id for one in used][:3] == ["a.md#a", "a.md#b#1", "a.md#b#2"]
    for one in used:
        assert one.metadata["parent"] == "a.md"
        assert text[one.metadata["start"] : one.metadata["end"]] == one.text


def test_a_word_that_is_longer_than_a_passage_is_rejected_and_its_neighbours_are_used() -> None:
    used, bad = read(document_reader(["short " + "x" * 90 + " end"], small_settings(max_passage_characters=40)))
    assert [one.text for one in used] == ["short", "end"]
    assert [one.reason for one in bad] == ["a word is longer than a passage may be"]


def test_a_retrieval_set_gives_its_corpus() -> None:
    judged = RetrievalSet.from_documents([Document(id="d", text="T.")], {"q": "t?"}, {"q": {"d": 1}})
    assert read(document_reader(judged, Settings()))[0] == [Document(id="d", text="T.")]


class WholeStore:
    """A store that gives all at once."""

    def get(self, ids: list[str] | None = None) -> Mapping[str, Any]:
        assert ids is None
        return {"ids": ["a", "b", "c"], "documents": ["One.", None, "Three."], "metadatas": [{"title": "T", "n": 1}]}


class PagedStore:
    """A store that gives page by page."""

    def get(self, ids: list[str] | None = None, limit: int | None = None, offset: int = 0) -> Mapping[str, Any]:
        assert ids is None
        numbers = range(2500)[offset : offset + (limit or 2500)]
        return {"ids": [str(n) for n in numbers], "documents": [f"Text {n}." for n in numbers], "metadatas": None}


def test_a_store_is_read() -> None:
    used, bad = read(document_reader(WholeStore(), Settings()))
    assert used == [Document(id="a", text="One.", title="T", metadata={"n": 1}), Document(id="c", text="Three.")]
    assert bad == [BadRecord("text is missing", "documents, record 2")]


def test_a_large_store_is_read_page_by_page() -> None:
    used, _ = read(document_reader(PagedStore(), Settings()))
    assert [one.id for one in used] == [str(number) for number in range(2500)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {},
    optional={"id": JSON, "_id": JSON, "text": JSON | st.text(min_size=1), "title": JSON, "metadata": JSON, "x": JSON},
)


@settings(max_examples=150)
@given(st.lists(ROWS | JSON | st.text(st.characters(codec=None), max_size=30), max_size=4))
def test_no_record_ever_raises_and_what_is_used_can_be_written(records: list[object]) -> None:
    used, bad = read(document_reader(records, small_settings(max_passage_characters=10)))
    assert all(Document.model_validate_json(one.model_dump_json()) for one in used)
    assert len(used) + len(bad) >= len(records)


@settings(max_examples=50)
@given(contents=st.lists(st.binary(max_size=60), max_size=4))
def test_no_bytes_of_a_file_ever_raise(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    root = tmp_path_factory.mktemp("docs")
    (root / "good.md").write_text("Good.")
    for number, content in enumerate(contents):
        for suffix in ("md", "txt", "html", "jsonl"):
            (root / f"{number}.{suffix}").write_bytes(content)
    used, _ = read(document_reader(root, Settings()))
    assert "good.md" in {one.id for one in used}


def test_a_document_without_an_id_has_the_same_one_in_every_order() -> None:
    rows = [{"text": f"Text {number}."} for number in range(4)]
    one = {document.text: document.id for document in read(document_reader(rows, Settings()))[0]}
    other = {document.text: document.id for document in read(document_reader(rows[::-1], Settings()))[0]}
    assert one == other
    assert len(set(one.values())) == 4
    assert json.dumps(sorted(one)) == json.dumps(sorted(other))
