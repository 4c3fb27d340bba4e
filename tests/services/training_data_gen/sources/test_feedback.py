"""Feedback: the records of the old modules as they really are, other scales, and what cannot be used."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.records.decisions import CustomData
from ragtime.services.training_data_gen.sources import BadRecord, FeedbackRecord
from ragtime.services.training_data_gen.sources.feedback import LONGEST_QUERY, feedback_reader
from tests.services.training_data_gen.sources.reading import read


def _read(
    given_feedback: object, field: str = "rating", scale: tuple[float, float] = (1, 5)
) -> tuple[list[FeedbackRecord], list[BadRecord]]:
    return read(feedback_reader(given_feedback, rating_field=field, rating_scale=scale))


def _legacy(rating: object = 4, **fields: Any) -> dict[str, Any]:
    return {
        "query": "How long are returns free?",
        "response": "<p>For <strong>30 days</strong>.</p><ul><li>unopened</li><li>opened</li></ul>",
        "rating": rating,
        "document_ids": [],
        "timestamp": 1767600977.25,
        "session_id": "unknown",
        **fields,
    }


def test_the_records_of_an_old_installation_are_used_or_rejected_by_name() -> None:
    ratings = [5, 4, 4, 4, 3, 3, 2, 2, 1, 1, 1]
    rows = [_legacy(rating, query=f"Question {number}?") for number, rating in enumerate(ratings)]
    rows[7]["query"] = "pasted " * 8000
    used, bad = _read(rows)
    assert [one.stars for one in used] == [5, 4, 4, 4, 3, 3, 2, 1, 1, 1]
    assert bad == [BadRecord(f"query is longer than {LONGEST_QUERY} characters", "feedback, record 8")]
    assert {one.document_ids for one in used} == {()}
    assert used[0].response == "For 30 days.\n\n- unopened\n- opened"
    assert used[0].conversation_id is None
    assert used[0].created_at == datetime(2026, 1, 5, 8, 16, 17, 250000, tzinfo=UTC)
    assert len({one.id for one in used}) == 10


@pytest.mark.parametrize(
    ("rating", "stars"),
    [
        *((4, 4), ("4", 4), (" 4.0 ", 4), ("4/5", 4), ("8 / 10", 1 + 4 * 7 / 9), (4.5, 4.5), ("+2", 2)),
        *((True, 5), (False, 1), ("up", 5), ("Down", 1), ("thumbs_up", 5), ("\N{THUMBS DOWN SIGN}", 1), ("like", 5)),
    ],
)
def test_ratings_in_many_shapes(rating: object, stars: float) -> None:
    used, _ = _read([_legacy(rating)])
    assert used[0].stars == pytest.approx(stars)


@pytest.mark.parametrize(
    ("rating", "reason"),
    [
        (None, "rating is missing"),
        (" ", "rating is missing"),
        ("four", "rating is no number"),
        ("\u0664", "rating is no number"),
        ([4], "rating is no number"),
        (float("nan"), "rating is no number"),
        (6, "rating is not on its scale"),
        (0, "rating is not on its scale"),
        (10**400, "rating is not on its scale"),
        ("4/0", "rating is not on its scale"),
        ("1/1", "rating is not on its scale"),
    ],
)
def test_a_rating_that_is_none_is_named(rating: object, reason: str) -> None:
    used, bad = _read([_legacy(rating), _legacy()])
    assert len(used) == 1
    assert bad == [BadRecord(reason, "feedback, record 1")]


@pytest.mark.parametrize(
    ("scale", "rating", "stars"), [((1, 4), 3.75, 1 + 4 * 2.75 / 3), ((0, 100), 50, 3), ((6, 1), 1, 5), ((-1, 1), 0, 3)]
)
def test_any_scale_is_mapped_to_stars(scale: tuple[float, float], rating: float, stars: float) -> None:
    used, _ = _read([{"query": "q?", "score": rating}], "score", scale)
    assert used[0].stars == pytest.approx(stars)


@pytest.mark.parametrize("scale", [(1, 1), (1,), "15", (1, float("inf")), (True, 5), None])
def test_a_scale_that_is_none_is_refused(scale: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="rating_scale"):
        feedback_reader([], rating_field="rating", rating_scale=scale)


@pytest.mark.parametrize(
    "timestamp",
    [
        *(1767600977, 1767600977.0, "1767600977", 1767600977000, "1767600977000", "2026-01-05T08:16:17Z"),
        *("2026-01-05T08:16:17", "2026-01-05 09:16:17+01:00", datetime(2026, 1, 5, 8, 16, 17, tzinfo=UTC)),
    ],
)
def test_times_in_many_shapes(timestamp: object) -> None:
    used, bad = _read([_legacy(timestamp=timestamp, feedback_id="f")])
    assert bad == []
    assert used[0].created_at == datetime(2026, 1, 5, 8, 16, 17, tzinfo=UTC)


@pytest.mark.parametrize("timestamp", [None, "", "  "])
def test_a_time_may_be_missing(timestamp: object) -> None:
    assert _read([_legacy(timestamp=timestamp)])[0][0].created_at is None


@pytest.mark.parametrize("timestamp", ["soon", True, "nan", 1e300, "-1e400", [1], "0000-01-01"])
def test_a_time_that_is_none_is_named(timestamp: object) -> None:
    assert _read([_legacy(timestamp=timestamp)])[1] == [BadRecord("timestamp is no time", "feedback, record 1")]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["b", "a", "b"], ("b", "a")),
        ("doc-17", ("doc-17",)),
        ("", ()),
        (None, ()),
        ([3], ("3",)),
        ([{"id": "a", "score": 0.3}, {"document_id": "b"}], ("a", "b")),
        ({"id": "a"}, ("a",)),
    ],
)
def test_document_ids_in_many_shapes(ids: object, expected: tuple[str, ...]) -> None:
    assert _read([_legacy(document_ids=ids)])[0][0].document_ids == expected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"query": " \n"}, "query is blank"),
        ({"query": None}, "query is missing"),
        ({"query": ["q"]}, "query is no text"),
        ({"query": "a\0"}, "query holds NUL characters"),
        ({"query": "a\ud800"}, "record cannot be kept"),
        ({"response": 3}, "response is no text"),
        ({"response": "a\0"}, "response holds NUL characters"),
        ({"response": "<p>x</p><![unknown[ b ]]>"}, "response is HTML that cannot be parsed"),
        ({"document_ids": 3}, "document_ids are no ids"),
        ({"document_ids": [None]}, "document_ids are no ids"),
        ({"document_ids": [" "]}, "id is no id"),
        ({"feedback_id": []}, "feedback_id is no id"),
        ({"extra": object()}, "record cannot be kept"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(fields: dict[str, Any], reason: str) -> None:
    used, bad = _read([_legacy(**fields), _legacy(), 7])
    assert len(used) == 1
    assert bad[0].reason.startswith(reason)
    assert bad[1] == BadRecord("record is neither feedback nor an object", "feedback, record 3")


def test_what_is_known_besides_is_kept() -> None:
    row = _legacy(user_id="u", session_id="s", comment="quick", metadata={"channel": "app"}, response=" ")
    used, _ = _read([row])
    assert (used[0].user_id, used[0].conversation_id, used[0].response) == ("u", "s", None)
    assert dict(used[0].metadata) == {"comment": "quick", "channel": "app"}


def test_code_in_an_answer_stays_as_it_is() -> None:
    assert _read([_legacy(response="Use List<int> & <name>.")])[0][0].response == "Use List<int> & <name>."


class Log:
    """A log in the manner of the Context Portal."""

    def custom_data(self, category: str) -> list[CustomData]:
        assert category == "UserFeedback"
        time = datetime(2026, 1, 1, tzinfo=UTC)
        return [CustomData(category=category, key="fb-1", logged_at=time, value=_legacy())]


class Records:
    """A reader with records whose value is an object or a JSON text."""

    def records(self) -> list[dict[str, Any]]:
        return [{"key": "a", "value": json.dumps(_legacy())}, {"value": _legacy(5)}, {"value": "no"}, {"value": [1]}]


def test_logs_are_read() -> None:
    assert [one.id for one in _read(Log())[0]] == ["fb-1"]
    used, bad = _read(Records())
    assert [one.stars for one in used] == [4, 5]
    assert used[0].id == "a"
    assert [one.reason for one in bad] == ["value is no JSON object"] * 2


def test_files_are_read(tmp_path: Path) -> None:
    rows = [_legacy(), _legacy(9)]
    (tmp_path / "f.jsonl").write_text("\n".join([*map(json.dumps, rows), "nonsense"]))
    (tmp_path / "f.json").write_text(json.dumps(rows))
    (tmp_path / "one.json").write_text(json.dumps(rows[0]))
    (tmp_path / "bad.json").write_text("[1")
    lines, bad = _read(tmp_path / "f.jsonl")
    assert (len(lines), [one.where for one in bad]) == (1, ["f.jsonl, line 2", "f.jsonl, line 3"])
    assert _read(tmp_path / "f.json")[0] == lines == _read(str(tmp_path / "one.json"))[0]
    assert _read(tmp_path / "bad.json") == ([], [BadRecord("file is no JSON", "bad.json")])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (
    "query",
    "response",
    "rating",
    "document_ids",
    "timestamp",
    "session_id",
    "feedback_id",
    "metadata",
    "value",
    "x",
)


@settings(max_examples=200)
@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)) | JSON, max_size=4), st.data())
def test_no_record_ever_raises_and_each_is_used_or_rejected(records: list[Any], data: st.DataObject) -> None:
    likely = [{**_legacy(), **one} for one in records if isinstance(one, dict) and data.draw(st.booleans())]
    used, bad = _read([*records, *likely])
    assert len(used) + len(bad) == len(records) + len(likely)
    assert all(FeedbackRecord.model_validate_json(one.model_dump_json()).id == one.id for one in used)
