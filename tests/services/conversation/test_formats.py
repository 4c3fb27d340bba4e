"""Conversations in the formats of others, in the project's own, and in that of the old modules."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import ImagePart, Interaction, TextPart, ToolCall
from ragtime.services.conversation import Conversation
from ragtime.services.conversation.formats import FORMATS, export_messages, import_messages

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
CANARY = "canary-77aa"
CALL = ToolCall(id="c1", name="weather", arguments='{"city": "Graz"}')

# --- round trips ------------------------------------------------------------------------------------------------

_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=15)
_said = _text.filter(str.strip)
_ids = st.text("abcXYZ-019ä", min_size=1, max_size=6)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)
_objects = st.dictionaries(_text, _json, max_size=3).map(lambda found: json.dumps(found, ensure_ascii=False))


@st.composite
def turns_of(
    draw: st.DrawFn, *, parts: bool = True, names: bool = True, any_arguments: bool = False, system: bool = True
) -> list[Interaction]:
    """Make turns with parallel, late and unanswered tool calls; `system` lets those of the system come anywhere."""
    found = [Interaction(role="system", content=draw(_said), created_at=NOON) for _ in range(draw(st.integers(0, 2)))]
    waiting: list[str] = []
    kinds = ["user", "assistant", "call", "result", *(["system"] if system else []), *(["parts"] if parts else [])]
    for number, kind in enumerate(draw(st.lists(st.sampled_from(kinds), max_size=8))):
        fields: dict[str, Any] = {"created_at": NOON}
        if names and kind != "system":
            fields["name"] = draw(st.none() | _ids)
        if kind == "call":
            arguments = draw(st.lists(_text if any_arguments else _objects, min_size=1, max_size=3))
            calls = [
                ToolCall(id=f"{number}-{place}", name=draw(_ids), arguments=one) for place, one in enumerate(arguments)
            ]
            waiting += [call.id for call in calls]
            found.append(Interaction(role="assistant", content=draw(_text), tool_calls=calls, **fields))
        elif kind == "result" and waiting:
            call_id = waiting.pop(draw(st.integers(0, len(waiting) - 1)))
            found.append(Interaction(role="tool", content=draw(_text), tool_call_id=call_id, **fields))
        elif kind == "parts":
            pieces = draw(
                st.lists(_said.map(lambda text: TextPart(text=text)) | _ids.map(lambda url: ImagePart(url=url)))
            )
            pieces += [ImagePart(url="a.png"), TextPart(text=draw(_said))]
            found.append(Interaction(role="user", parts=pieces, **fields))
        else:
            role = "user" if kind == "result" else kind
            found.append(Interaction(role=role, content=draw(_said), **fields))  # type: ignore[arg-type]
    return found


def told(turns: list[Interaction], *, exactly: bool = False) -> list[dict[str, Any]]:
    """Return what a format can tell of turns; arguments as objects, unless they are kept byte for byte."""
    found = []
    for turn in turns:
        fields = turn.model_dump(exclude={"id"})
        if not exactly:
            for call in fields["tool_calls"]:
                call["arguments"] = json.loads(call["arguments"])
        found.append(fields)
    return found


def there_and_back(turns: list[Interaction], format_: Any) -> list[Interaction]:
    conversation = Conversation(clock=lambda: NOON)
    conversation.add_interactions(turns)
    written = json.loads(json.dumps(conversation.to_messages(format_)))
    back = Conversation.from_messages(written, format_, conversation_id="back", clock=lambda: NOON)
    assert back.conversation_id == "back"
    return back.get_interactions()


@given(turns_of(any_arguments=True))
@settings(max_examples=100)
def test_openai_keeps_turns_and_arguments_byte_for_byte(turns: list[Interaction]) -> None:
    assert told(there_and_back(turns, "openai"), exactly=True) == told(turns, exactly=True)


@given(turns_of())
@settings(max_examples=100)
def test_data_sets_of_hugging_face_keep_turns(turns: list[Interaction]) -> None:
    assert told(there_and_back(turns, "hf")) == told(turns)


@given(turns_of(names=False, system=False))
@settings(max_examples=100)
def test_anthropic_keeps_turns(turns: list[Interaction]) -> None:
    assert told(there_and_back(turns, "anthropic")) == told(turns)


@given(turns_of(parts=False))
@settings(max_examples=100)
def test_sharegpt_keeps_turns(turns: list[Interaction]) -> None:
    assert told(there_and_back(turns, "sharegpt")) == told(turns)


@given(
    turns_of(parts=False),
    st.lists(st.tuples(st.sampled_from(["edit", "answer", "rate", "switch"]), st.integers(0, 9)), max_size=6),
    st.dictionaries(_text, _json, max_size=2),
)
@settings(max_examples=100)
def test_the_own_format_keeps_everything(
    turns: list[Interaction], operations: list[tuple[str, int]], metadata: dict[str, Any]
) -> None:
    conversation = Conversation("c", user_id="u", metadata=metadata, clock=lambda: NOON)
    conversation.add_interactions(turns)
    for operation, number in operations:
        known = [turn["id"] for turn in conversation.to_dict()["turns"]]
        if operation == "answer" or not known:
            conversation.add_exchange("why", "so", metadata=metadata, document_ids=["d"])
        elif operation == "edit":
            conversation.edit(known[number % len(known)], "edited")
        elif operation == "rate":
            conversation.add_feedback(known[number % len(known)], 1 + number / 3, comment="fine", aspects={"a": 2})
        else:
            conversation.switch(known[number % len(known)])
    check_own_format(conversation)


def check_own_format(conversation: Conversation) -> None:
    written = conversation.to_dict()
    back = Conversation.from_dict(json.loads(json.dumps(written)))
    assert back.to_dict() == written
    assert back.head == conversation.head
    assert back.get_interactions() == conversation.get_interactions()
    assert back.branches() == conversation.branches()
    for turn in written["turns"]:
        assert back.get_interaction(turn["id"]) == conversation.get_interaction(turn["id"])


def test_the_own_format_keeps_parts() -> None:
    conversation = Conversation()
    conversation.add_interaction("user", parts=[TextPart(text="Look:"), ImagePart(url="a.png", width=3)])
    check_own_format(conversation)


def test_the_own_format_keeps_a_fork() -> None:
    conversation = Conversation()
    question, _ = conversation.add_exchange("Why?", "So.")
    fork = conversation.fork(question)
    fork.add_interaction("assistant", "Because.", token_counts={"words": 1}, metadata={"a": [{"b": None}]})
    check_own_format(fork)
    check_own_format(Conversation())


# --- what each looks like ---------------------------------------------------------------------------------------


def example() -> Conversation:
    conversation = Conversation()
    conversation.add_interaction("system", "Be brief.")
    conversation.add_interaction("user", "Weather?", name="ann")
    conversation.add_interaction("assistant", "Let me see.", tool_calls=[CALL, ToolCall(id="c2", name="clock")])
    conversation.add_interaction("tool", "Rain", tool_call_id="c1")
    conversation.add_interaction("tool", "Noon", tool_call_id="c2", metadata={"is_error": True})
    conversation.add_interaction("assistant", "Rain at noon.")
    return conversation


def test_openai_as_written() -> None:
    messages = example().to_messages()
    assert messages[:2] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?", "name": "ann"},
    ]
    function = {"name": "weather", "arguments": '{"city": "Graz"}'}
    assert messages[2]["tool_calls"][0] == {"id": "c1", "type": "function", "function": function}
    assert messages[3] == {"role": "tool", "content": "Rain", "tool_call_id": "c1"}
    hf = example().to_messages("hf")["messages"]
    assert hf[2]["tool_calls"][0]["function"]["arguments"] == {"city": "Graz"}
    assert hf[5] == messages[5]


def test_anthropic_as_written() -> None:
    written = example().to_messages("anthropic")
    assert written["system"] == [{"type": "text", "text": "Be brief."}]
    assert [message["role"] for message in written["messages"]] == ["user", "assistant", "user", "assistant"]
    assert written["messages"][1]["content"][1] == {
        "type": "tool_use",
        "id": "c1",
        "name": "weather",
        "input": {"city": "Graz"},
    }
    assert written["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "c1", "content": "Rain"},
        {"type": "tool_result", "tool_use_id": "c2", "content": "Noon", "is_error": True},
    ]
    assert Conversation.from_messages(written, "anthropic").get_interactions()[4].metadata == {"is_error": True}


def test_sharegpt_as_written() -> None:
    entries = example().to_messages("sharegpt")["conversations"]
    assert [entry["from"] for entry in entries] == [
        *["system", "human", "gpt", "function_call", "function_call", "observation", "observation", "gpt"]
    ]
    assert json.loads(entries[3]["value"]) == {"name": "weather", "arguments": {"city": "Graz"}}


def test_texts_of_others_are_read() -> None:
    call = {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Graz"}}'}
    rows = [{"from": "human", "value": "Weather?"}, call, {"from": "observation", "value": "Rain"}]
    for data in (rows, {"conversations": rows}):
        found = Conversation.from_messages(data, "sharegpt").get_interactions()
        assert [turn.role for turn in found] == ["user", "assistant", "tool"]
        assert found[1].tool_calls[0].id == found[2].tool_call_id
    developer = Conversation.from_messages({"messages": [{"role": "developer", "content": "Be brief."}]})
    assert developer.get_interactions()[0].role == "system"
    plain = Conversation.from_messages(
        {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]}, "anthropic"
    )
    assert [turn.content for turn in plain] == ["Be brief.", "Hi"]


def test_what_a_format_cannot_express_is_refused() -> None:
    bad = Interaction(role="assistant", tool_calls=[ToolCall(id="c", name="n", arguments="city=Graz")])
    for format_ in ("anthropic", "hf", "sharegpt"):
        with pytest.raises(InvalidArgumentError, match="no JSON object"):
            export_messages([bad], format_)  # type: ignore[arg-type]
    image = Interaction(role="user", parts=[ImagePart(url="a.png")])
    with pytest.raises(InvalidArgumentError, match="parts"):
        export_messages([image], "sharegpt")
    late = [Interaction(role="user", content="Hi"), Interaction(role="system", content="Be brief.")]
    with pytest.raises(InvalidArgumentError, match="at the beginning"):
        export_messages(late, "anthropic")


def test_an_image_of_the_system_is_not_lost_without_a_word() -> None:
    """Anthropic's system takes texts only."""
    turn = Interaction(role="system", parts=[TextPart(text="Look like this:"), ImagePart(url="a.png")])
    with pytest.raises(InvalidArgumentError):
        export_messages([turn], "anthropic")


@pytest.mark.parametrize("format_", ["opnai", "", None, 5, []])
def test_an_unknown_format_is_refused(format_: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no format"):
        Conversation().to_messages(format_)
    with pytest.raises(InvalidArgumentError, match="no format"):
        Conversation.from_messages([], format_)


# --- wrong input ------------------------------------------------------------------------------------------------

_GOOD: dict[str, dict[str, Any]] = {
    "openai": {"role": "user", "content": CANARY},
    "hf": {"role": "user", "content": CANARY},
    "anthropic": {"role": "user", "content": CANARY},
    "sharegpt": {"from": "human", "value": CANARY},
}


def _block(**fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": [fields]}


_WRONG: list[tuple[str, Any]] = [
    *[(format_, bad) for format_ in FORMATS for bad in (5, None, CANARY, [CANARY], {})],
    *[(format_, {**good, "weight": CANARY}) for format_, good in _GOOD.items()],
    *[(format_, {**_GOOD[format_], "role": "nobody"}) for format_ in ("openai", "hf", "anthropic")],
    *[(format_, {**_GOOD[format_], "content": bad}) for format_ in ("openai", "anthropic") for bad in (5, "", [5], {})],
    ("openai", {"role": "user", "content": f"{CANARY}\ud800"}),
    ("openai", {"role": "tool", "content": CANARY}),
    ("openai", {"role": "user", "content": [{"type": "audio", "data": CANARY}]}),
    ("openai", {"role": "user", "content": [{"type": "text", "text": 5}]}),
    ("openai", {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:,{CANARY}"}}]}),
    ("openai", {"role": "assistant", "content": CANARY, "tool_calls": 5}),
    ("openai", {"role": "assistant", "content": CANARY, "tool_calls": [5]}),
    ("openai", {"role": "assistant", "tool_calls": [{"id": "a", "function": {"arguments": CANARY}}]}),
    ("openai", {"role": "user", "content": [{"type": "text", "text": CANARY, "cache_control": {"a": 1}}]}),
    ("openai", {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "n", "strict": True}}]}),
    ("openai", {"role": "tool", "content": CANARY, "tool_call_id": "nowhere"}),
    ("anthropic", _block(type="thinking", thinking=CANARY)),
    ("anthropic", _block(type="text", text=CANARY, cache_control={"a": 1})),
    ("anthropic", _block(type="tool_use", id="a", name="n")),
    ("anthropic", _block(type="tool_use", id="a", name="n", input=CANARY, extra=1)),
    ("anthropic", _block(type="tool_result", tool_use_id="a", content=5)),
    ("anthropic", _block(type="image", source={"type": "base64", "data": CANARY})),
    ("anthropic", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "nowhere", "content": CANARY}]}),
    ("sharegpt", {"from": "nobody", "value": CANARY}),
    ("sharegpt", {"from": "human", "value": 5}),
    ("sharegpt", {"from": "human", "value": " "}),
    ("sharegpt", {"from": "function_call", "value": CANARY}),
    ("sharegpt", {"from": "function_call", "value": f'{{"arguments": "{CANARY}"}}'}),
    ("sharegpt", {"from": "observation", "value": CANARY}),
]


@pytest.mark.parametrize(("format_", "bad"), _WRONG)
def test_a_wrong_message_is_named_by_its_number_and_not_quoted(format_: Any, bad: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^(message|entry|turn) 2: ") as caught:
        Conversation.from_messages([_GOOD[format_], bad, _GOOD[format_]], format_)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("format_", list(FORMATS))
@pytest.mark.parametrize("data", [None, 5, "text", b"text", {}, {"messages": 5}, {"messages": [], "system": 5}])
def test_what_is_no_list_of_messages_is_refused(format_: Any, data: Any) -> None:
    if format_ != "anthropic" and isinstance(data, dict) and "system" in data:
        data = {"system": 5}
    with pytest.raises(InvalidArgumentError):
        Conversation.from_messages(data, format_)


_words = st.sampled_from(["text", "user", "c1", "name", '{"name": "n", "arguments": {}}', "data:,x", "{}", " ", ""])
_rubbish = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)


def _some(fields: str, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(known, optional=dict.fromkeys(fields.split(), _rubbish))


def _many(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(one, max_size=2) | _rubbish


_role = st.sampled_from(["user", "assistant", "assistant", "tool", "system"])
_call = _some("id type") | _some("id", function=_some("name arguments") | _rubbish)
_part = _some("text image_url", type=st.sampled_from(["text", "image_url"]))
_block_ = st.one_of(
    _some("text", type=st.just("text")),
    _some("", type=st.just("image"), source=_some("type url") | _some("url", type=st.just("url")) | _rubbish),
    _some("id name input", type=st.just("tool_use")),
    _some("tool_use_id content is_error", type=st.just("tool_result")),
)
_openai = _some("content name tool_call_id tool_calls", role=_role) | st.fixed_dictionaries(
    {"role": _role, "content": _many(_part), "tool_calls": _many(_call)}
)
_speaker = st.sampled_from(["human", "gpt", "observation", "function_call"])
_rows: dict[str, st.SearchStrategy[Any]] = {
    "openai": _many(_openai),
    "hf": _many(_openai),
    "anthropic": st.fixed_dictionaries({"messages": _many(_some("", role=_role, content=_many(_block_)))})
    | _some("system", messages=st.just([])),
    "sharegpt": _many(_some("value id name goes_on", **{"from": _speaker})),
}


@pytest.mark.parametrize("format_", list(FORMATS))
@given(data=st.data())
@settings(max_examples=150)
def test_no_input_raises_any_other_error(format_: Any, data: st.DataObject) -> None:
    try:
        found = import_messages(data.draw(_rows[format_]), format_, created_at=NOON)
    except InvalidArgumentError:
        return
    assert all(isinstance(turn, Interaction) for turn in found)


# --- the own format ---------------------------------------------------------------------------------------------


def own(**changed: Any) -> dict[str, Any]:
    turns = [{"id": "a", "role": "user", "content": CANARY, "parent_id": None}]
    return {"format": "ragtime.conversation", "version": 1, "id": "c", "turns": turns, **changed}


def own_turn(**changed: Any) -> dict[str, Any]:
    first = own()["turns"][0]
    return own(turns=[first, {"id": "b", "role": "user", "content": CANARY, "parent_id": "a", **changed}])


def test_a_little_is_enough() -> None:
    assert [turn.content for turn in Conversation.from_dict(own_turn())] == [CANARY, CANARY]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (5, "object"),
        ({}, "format"),
        (own(format="other"), "format"),
        (own(version=3), "version 3"),
        (own(version="1"), "version 1"),
        (own(version=0), "version 0"),
        (own(version=None), "version"),
        (own(secret=CANARY), "secret"),
        (own(id=""), "id"),
        (own(turns=5), "turns is a list"),
        (own(turns=[5]), "turn 1"),
        (own(tip="nowhere"), "no turn"),
        (own_turn(secret=CANARY), "turn 2: secret"),
        (own_turn(role=CANARY), "turn 2: role"),
        (own_turn(content=f"{CANARY}\ud800"), "turn 2: content"),
        (own_turn(created_at=CANARY), "turn 2: created_at"),
        (own_turn(created_at="2025-01-01T00:00:00"), "turn 2: created_at"),
        (own_turn(parts=5), "turn 2"),
        (own_turn(content="", parts=5), "turn 2"),
        (own_turn(metadata=5), "turn 2: metadata"),
        (own_turn(feedback=[{"stars": 9, "comment": CANARY}]), "turn 2: feedback.0.stars"),
        (own_turn(parent_id="nowhere"), "follows one that is not there"),
        (own_turn(parent_id="b"), "follows one that is not there"),
        (own_turn(parent_id=5), "turn 2: parent_id"),
        (own_turn(id="a"), "already"),
    ],
)
def test_a_wrong_conversation_is_refused_without_quoting_it(data: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        Conversation.from_dict(data)
    assert CANARY not in str(caught.value)


# --- the old modules --------------------------------------------------------------------------------------------


def test_a_record_of_the_old_modules_is_a_question_and_its_answer() -> None:
    record = {
        "query": "Why?",
        "response": "So.",
        "timestamp": 1_700_000_000.5,
        "document_ids": ["d", "e"],
        "metadata": {"a": 1},
    }
    conversation = Conversation.from_dict({"history": [record, {"query": "How?", "response": "Thus."}]})
    found = conversation.get_interactions()
    assert [(turn.role, turn.content) for turn in found] == [
        ("user", "Why?"),
        ("assistant", "So."),
        ("user", "How?"),
        ("assistant", "Thus."),
    ]
    time = datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC)
    assert found[0].created_at == found[1].created_at == conversation.created_at == time
    assert (found[1].document_ids, found[1].metadata, found[0].document_ids) == (("d", "e"), {"a": 1}, ())
    assert found[3].created_at - time > timedelta(0)
    check_own_format(conversation)
    assert len(Conversation.from_dict({"history": []})) == 0


@pytest.mark.parametrize(
    "record",
    [
        5,
        {"query": CANARY},
        {"query": CANARY, "response": ""},
        {"query": 5, "response": CANARY},
        {"query": CANARY, "response": "So.", "timestamp": "yesterday"},
        {"query": CANARY, "response": "So.", "timestamp": float("nan")},
        {"query": CANARY, "response": "So.", "timestamp": 1e300},
        {"query": CANARY, "response": "So.", "timestamp": True},
        {"query": CANARY, "response": "So.", "document_ids": 5},
        {"query": CANARY, "response": "So.", "document_ids": "d1"},
        {"query": CANARY, "response": "So.", "metadata": [1]},
        {"query": CANARY, "response": "So.", "metadata": CANARY},
        {"query": CANARY, "response": "So.", "feedback_nobody_knows": 5},
    ],
)
def test_a_wrong_record_of_the_old_modules_is_named(record: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="record 2: ") as caught:
        Conversation.from_dict({"history": [{"query": "Why?", "response": "So."}, record]})
    assert CANARY not in str(caught.value)
