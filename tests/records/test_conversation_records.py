"""Turns, their parts, tool calls and feedback, as records."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ragtime.records.conversation import (
    ConversationHead,
    Feedback,
    ImagePart,
    Interaction,
    StoredTurn,
    TextPart,
    ToolCall,
)

CANARY = "canary-5f1e"
CALL = ToolCall(id="c1", name="weather", arguments='{"city":  "Graz"}')

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_said = _text.filter(str.strip)
_ids = st.text("abcXYZ-019ä", min_size=1, max_size=8)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
_metadata = st.dictionaries(_text, _json, max_size=3)
_times = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9000, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11))]),
)
_stars = st.floats(1, 5)
_feedback = st.builds(
    Feedback,
    id=_ids,
    stars=_stars,
    comment=st.none() | _text,
    aspects=st.dictionaries(_ids, _stars, max_size=2),
    by=st.none() | _ids,
    created_at=_times,
    metadata=_metadata,
)
_parts = st.lists(
    st.builds(TextPart, text=_said) | st.builds(ImagePart, url=_ids, width=st.none() | st.integers(1, 4000)), max_size=3
)
_common = {
    "created_at": _times,
    "metadata": _metadata,
    "document_ids": st.lists(_ids, max_size=3),
    "name": st.none() | _ids,
    "token_counts": st.dictionaries(_ids, st.integers(0, 9), max_size=2),
    "feedback": st.lists(_feedback, max_size=2),
}
_calls = st.lists(st.builds(ToolCall, id=_ids, name=_ids, arguments=_text), max_size=3, unique_by=lambda call: call.id)
_turns = st.one_of(
    st.builds(Interaction, role=st.sampled_from(["system", "user"]), content=_said, **_common),
    st.builds(Interaction, role=st.just("user"), parts=_parts.filter(bool), **_common),
    st.builds(Interaction, role=st.just("assistant"), content=_said, tool_calls=_calls, **_common),
    st.builds(Interaction, role=st.just("tool"), content=_text, tool_call_id=_ids, **_common),
)


@given(_turns)
def test_a_turn_comes_back_from_json(turn: Interaction) -> None:
    assert Interaction.model_validate_json(turn.model_dump_json()) == turn
    assert Interaction(**turn.model_dump(mode="json")) == turn


def test_a_turn_in_its_place_and_a_head_come_back_from_json_and_pickle() -> None:
    stored = StoredTurn(interaction=Interaction(role="user", content="Hi", metadata={"a": {"b": [1]}}), parent_id="p")
    assert pickle.loads(pickle.dumps(stored)) == stored
    head = ConversationHead(id="c", user_id="u", metadata={"a": [None]}, tip="t")
    assert ConversationHead.model_validate_json(head.model_dump_json()) == head
    assert pickle.loads(pickle.dumps(head)) == head


@pytest.mark.parametrize("role", ["human", "System", "function", "developer", "", None, 1])
def test_only_four_roles_are_known(role: object) -> None:
    with pytest.raises(ValidationError, match="role"):
        Interaction(role=role, content="Hi", tool_call_id=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize("content", ["", " ", "\n\t\u2003"])
def test_a_turn_says_something(role: str, content: str) -> None:
    with pytest.raises(ValidationError, match="must not be empty"):
        Interaction(role=role, content=content)  # type: ignore[arg-type]


def test_blank_is_a_turn_that_calls_shows_or_returns_nothing() -> None:
    assert Interaction(role="assistant", tool_calls=[CALL]).content == ""
    assert Interaction(role="tool", tool_call_id="c1").content == ""
    assert Interaction(role="user", parts=[ImagePart(url="a.png")]).content == ""


def test_content_is_kept_as_it_is() -> None:
    content = "  ä\u0301 😀\r\n\tend "
    assert Interaction(role="user", content=content).content == content


@pytest.mark.parametrize("field", ["content", "comment", "text", "url", "arguments"])
@pytest.mark.parametrize(("bad", "told"), [("\ud800", "surrogates"), ("\0", "NUL")])
def test_what_files_cannot_hold_is_refused_without_quoting_it(field: str, bad: str, told: str) -> None:
    text = f"{CANARY}{bad}"
    make = {
        "content": lambda: Interaction(role="user", content=text),
        "comment": lambda: Feedback(stars=3, comment=text),
        "text": lambda: TextPart(text=text),
        "url": lambda: ImagePart(url=text),
        "arguments": lambda: ToolCall(id="c", name="n", arguments=text),
    }[field]
    with pytest.raises(ValidationError, match=f"{told}|unicode") as caught:
        make()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("field", ["id", "name", "document_ids", "metadata"])
def test_lone_surrogates_are_refused_in_every_field(field: str) -> None:
    """Otherwise a turn exists that has no JSON, and that no store takes."""
    bad: object = {"document_ids": ["\ud800"], "metadata": {"a": "\ud800"}}.get(field, "\ud800")
    with pytest.raises(ValidationError):
        Interaction(role="user", content="Hi", **{field: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"role": CANARY, "content": "Hi"},
        {"role": "user", "content": {"a": CANARY}},
        {"role": "user", "content": CANARY, "tool_call_id": CANARY},
        {"role": "user", "content": CANARY, "tool_calls": [CALL]},
        {"role": "user", "content": CANARY, "created_at": CANARY},
        {"role": "user", "content": CANARY, "metadata": {"a": object()}},
        {"role": "user", "content": CANARY, "parts": [{"type": "text", "text": f"other {CANARY}"}]},
        {"role": "user", "parts": [{"type": "image", "url": f"data:image/png;base64,{CANARY}"}]},
        {"role": "user", "content": "Hi", "feedback": [{"stars": 9, "comment": CANARY}]},
        {"role": "user", "content": "Hi", "name": f"{CANARY}\n"},
    ],
)
def test_no_error_tells_what_was_said(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        Interaction(**fields)  # type: ignore[arg-type]
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("fields", [{"parts": 5}, {"parts": [5]}, {"parts": {"type": "text"}}, {"tool_calls": 5}])
def test_what_is_no_list_is_a_validation_error(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Interaction(role="user", **fields)  # type: ignore[arg-type]


# --- times ------------------------------------------------------------------------------------------------------


def test_times_are_brought_to_utc() -> None:
    there = datetime(2024, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    turn = Interaction(role="user", content="Hi", created_at=there)
    assert turn.created_at == there
    assert turn.created_at.isoformat() == "2024-02-29T20:00:00+00:00"
    assert Feedback(stars=3, created_at=there).created_at.tzinfo is UTC


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Interaction(role="user", content="Hi", created_at=datetime(2024, 1, 1))  # noqa: DTZ001 - it is the point
    with pytest.raises(ValidationError, match="timezone"):
        Interaction(role="user", content="Hi", created_at="2024-01-01T00:00:00")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "time",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    ],
)
def test_a_time_that_utc_cannot_express_is_a_validation_error(time: datetime) -> None:
    with pytest.raises(ValidationError, match="created_at"):
        Interaction(role="user", content="Hi", created_at=time)


# --- tools and parts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["system", "user", "tool"])
def test_only_an_assistant_calls_tools(role: str) -> None:
    with pytest.raises(ValidationError, match="only an assistant calls tools"):
        Interaction(role=role, content="Hi", tool_calls=[CALL])  # type: ignore[arg-type]


def test_a_result_names_its_call_and_nothing_else_does() -> None:
    for fields in ({"role": "tool", "content": "Rain"}, {"role": "user", "content": "Hi", "tool_call_id": "c1"}):
        with pytest.raises(ValidationError, match="tool_call_id"):
            Interaction(**fields)  # type: ignore[arg-type]


def test_calls_of_one_turn_differ_and_keep_their_arguments() -> None:
    turn = Interaction(role="assistant", tool_calls=[CALL, CALL.model_copy(update={"id": "c2"})])
    assert [call.arguments for call in turn.tool_calls] == ['{"city":  "Graz"}'] * 2
    with pytest.raises(ValidationError, match="same id"):
        Interaction(role="assistant", tool_calls=[CALL, CALL])


def test_the_content_of_parts_is_their_texts() -> None:
    parts = [TextPart(text="Look:"), ImagePart(url="a.png"), TextPart(text="nice?")]
    turn = Interaction(role="user", parts=parts)
    assert turn.content == "Look:\nnice?"
    assert turn == turn.model_copy(update={"content": "Look:\nnice?"})
    with pytest.raises(ValidationError, match="content differs"):
        Interaction(role="user", content="Look", parts=parts)


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "DATA:,x", "", "x" * 8193])
def test_an_image_is_kept_by_reference(url: str) -> None:
    with pytest.raises(ValidationError):
        ImagePart(url=url)


@pytest.mark.parametrize("part", [{"text": "no type"}, {"type": "audio", "url": "a"}, {"type": "text", "url": "a"}])
def test_unknown_parts_are_refused(part: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Interaction(role="user", content="Hi", parts=[part])  # type: ignore[list-item]


# --- feedback and being frozen ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stars", [0, 0.99, 5.01, float("nan"), float("inf"), "many", None])
def test_stars_are_1_to_5(stars: object) -> None:
    with pytest.raises(ValidationError):
        Feedback(stars=stars)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Feedback(stars=3, aspects={"clear": stars})  # type: ignore[dict-item]


def test_feedback_is_added_in_order_and_replaced_by_id() -> None:
    turn = Interaction(role="assistant", content="Yes.")
    first, second = Feedback(id="a", stars=1), Feedback(id="b", stars=4)
    rated = turn.with_feedback(first).with_feedback(second)
    assert (turn.stars, rated.stars) == (None, 2.5)
    assert [one.id for one in rated.feedback] == ["a", "b"]
    again = rated.with_feedback(Feedback(id="a", stars=5))
    assert {one.id: one.stars for one in again.feedback} == {"a": 5, "b": 4}
    assert turn.feedback == ()


def test_nothing_of_a_turn_can_be_changed() -> None:
    turn = Interaction(role="user", content="Hi", metadata={"a": {"b": 1}}, token_counts={"words": 1})
    with pytest.raises(ValidationError) as caught:
        turn.content = CANARY  # type: ignore[misc]
    assert CANARY not in str(caught.value)
    for mapping in (turn.metadata, turn.metadata["a"], turn.token_counts):
        with pytest.raises(TypeError, match="frozen"):
            mapping["new"] = 1  # type: ignore[index]
    assert turn.metadata == {"a": {"b": 1}}


def test_a_turn_does_not_change_with_what_it_was_made_of() -> None:
    metadata: dict[str, object] = {"a": [{"b": 1}]}
    ids = ["d1"]
    turn = Interaction(role="user", content="Hi", metadata=metadata, document_ids=ids)  # type: ignore[arg-type]
    ids.append("d2")
    metadata["a"].append(2)  # type: ignore[attr-defined]
    assert (turn.metadata, turn.document_ids) == ({"a": [{"b": 1}]}, ("d1",))


def test_unknown_fields_are_refused_and_ids_are_one_line() -> None:
    with pytest.raises(ValidationError, match="rating"):
        Interaction(role="user", content="Hi", rating=5)  # type: ignore[call-arg]
    for bad in ("", " a", "a\n", "a\tb", "a\0b"):
        with pytest.raises(ValidationError):
            Interaction(role="user", content="Hi", id=bad)


def test_turns_get_ids_of_their_own_and_can_be_hashed() -> None:
    turns = {Interaction(role="user", content="Hi") for _ in range(50)}
    assert len({turn.id for turn in turns}) == 50
