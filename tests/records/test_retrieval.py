"""Document and RetrievalSet."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ragtime.records import Document, RetrievalSet

DOCUMENTS = [Document(id="d1", text="Hold the button.", title="Reset"), Document(id="d2", text="Call us.")]


def _set(**changes: object) -> RetrievalSet:
    parts = {"queries": {"q1": "How do I reset it?", "q2": "Who helps?"}, "judgements": {"q1": {"d1": 2, "d2": 0}}}
    return RetrievalSet.from_documents(DOCUMENTS, **{**parts, **changes})  # type: ignore[arg-type]


def test_content_is_title_and_text() -> None:
    assert [document.content for document in DOCUMENTS] == ["Reset\nHold the button.", "Call us."]


def test_documents_are_frozen_and_equal_by_value() -> None:
    assert Document(id="d2", text="Call us.") == DOCUMENTS[1]
    with pytest.raises(ValidationError):
        DOCUMENTS[0].text = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "", "text": "x"},
        {"id": " a", "text": "x"},
        {"id": "a\tb", "text": "x"},
        {"id": "a\nb", "text": "x"},
        {"id": "a\0b", "text": "x"},
        {"id": "a", "text": " \n"},
        {"id": "a"},
        {"id": "a", "text": "x", "surplus": 1},
        {"id": "a", "text": "x", "metadata": {"f": object()}},
    ],
)
def test_wrong_documents(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        Document(**wrong)  # type: ignore[arg-type]
    assert "input_value" not in str(caught.value)


def test_only_queries_with_a_relevant_document_are_evaluated() -> None:
    found = _set()
    assert found.judged_queries == {"q1": "How do I reset it?"}
    assert found.relevant("q1") == {"d1": 2}
    assert found.relevant("q2") == {}
    assert _set(judgements={"q1": {"d2": 0}}).judged_queries == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"judgements": {"q9": {"d1": 1}}}, "1 judged queries are not among the queries: 'q9'"),
        (
            {"judgements": {"q1": {"d7": 1, "d8": 1, "d9": 1, "d10": 1}}},
            "4 judged documents are not in the corpus: 'd7', 'd8', 'd9', …",
        ),
        ({"judgements": {"q1": {}}}, "1 judged queries have no judgement"),
        ({"judgements": {"q1": {"d1": -1}}}, "greater than or equal to 0"),
        ({"queries": {"q1": " "}, "judgements": {}}, "must not be blank"),
    ],
)
def test_parts_that_do_not_fit(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _set(**changes)
    assert message in str(caught.value)


def test_two_documents_with_one_id() -> None:
    with pytest.raises(ValueError, match="Two documents have the id 'd1'"):
        RetrievalSet.from_documents([DOCUMENTS[0], Document(id="d1", text="other")], {}, {})


def test_a_document_under_another_id() -> None:
    with pytest.raises(ValidationError, match="under another id"):
        RetrievalSet(queries={}, corpus={"x": DOCUMENTS[0]}, judgements={})


_ids = st.text(alphabet=st.characters(whitelist_categories=["L", "N"]), min_size=1, max_size=8)
_json = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers(), max_size=3)


@given(
    _ids, st.text(min_size=1).filter(str.strip), st.none() | st.text(), st.dictionaries(st.text(), _json, max_size=3)
)
def test_documents_survive_json(key: str, text: str, title: str | None, metadata: dict[str, object]) -> None:
    document = Document(id=key, text=text, title=title, metadata=metadata)  # type: ignore[arg-type]
    try:
        json = document.model_dump_json()
    except ValueError:  # a lone surrogate cannot be written as UTF-8
        assert any(
            "\ud800" <= character <= "\udfff" for character in repr(document) + text + str(title) + str(metadata)
        )
        return
    assert Document.model_validate_json(json) == document


def test_sets_survive_json() -> None:
    assert RetrievalSet.model_validate_json(_set().model_dump_json()) == _set()


def test_records_cannot_be_changed_after_they_were_checked() -> None:
    found = _set()
    document = Document(id="a", text="b", metadata={"nested": {"x": 1}})
    for change in (
        lambda: found.judgements["q1"].update({"d9": 1}),  # type: ignore[attr-defined]
        lambda: found.corpus.pop("d1"),  # type: ignore[attr-defined]
        lambda: document.metadata.__setitem__("y", 1),  # type: ignore[attr-defined]
        lambda: document.metadata["nested"].__setitem__("y", 1),  # type: ignore[union-attr, call-overload, index]
    ):
        with pytest.raises(TypeError, match="frozen; make a changed copy"):
            change()
    assert pickle.loads(pickle.dumps(document)) == copy.deepcopy(document) == document
    assert len({document, Document(id="a", text="b", metadata={"nested": {"x": 1}})}) == 1


def test_a_copy_is_checked_like_the_original() -> None:
    assert DOCUMENTS[0].model_copy(update={"text": "new"}).text == "new"
    assert DOCUMENTS[0].model_copy() == DOCUMENTS[0]
    with pytest.raises(ValidationError):
        DOCUMENTS[0].model_copy(update={"id": ""})


@pytest.mark.parametrize("grade", ["1", True, 1.5])
def test_a_grade_is_a_whole_number(grade: object) -> None:
    with pytest.raises(ValidationError):
        _set(judgements={"q1": {"d1": grade}})


def test_metadata_hold_only_what_json_can() -> None:
    with pytest.raises(ValidationError):
        Document(id="a", text="b", metadata={"x": float("nan")})
