"""Conversations: a manager, lists, and lines in every format, each read by itself and the same each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.conversation import Conversation, ConversationManager
from ragtime.services.training_data_gen.sources import BadRecord, SourceConversation
from ragtime.services.training_data_gen.sources.conversations import conversation_reader
from ragtime.storage.conversations import MemoryConversationStore
from tests.services.training_data_gen.sources.reading import read


def _read(given_conversations: object, turns_field: str = "turns") -> tuple[list[SourceConversation], list[BadRecord]]:
    return read(conversation_reader(given_conversations, turns_field=turns_field))


def _said(conversation: SourceConversation) -> list[tuple[str, str]]:
    return [(turn.interaction.role, turn.interaction.content) for turn in conversation.turns]


def _conversation(name: str = "c", turns: int = 1) -> Conversation:
    made = Conversation(name, user_id="u")
    for number in range(turns):
        made.add_exchange(f"Question {number}?", f"Answer {number}.", document_ids=["d"])
    return made


SAID = [("user", "How long?"), ("assistant", "30 days.")]
LINES: dict[str, dict[str, Any]] = {
    "native": _conversation().to_dict(),
    "legacy": {"history": [{"query": "How long?", "response": "30 days.", "timestamp": None, "document_ids": ["d"]}]},
    "openai": {"messages": [{"role": "user", "content": "How long?"}, {"role": "assistant", "content": "30 days."}]},
    "anthropic": {
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "How long?"},
            {"role": "assistant", "content": [{"type": "text", "text": "30 days."}]},
        ],
    },
    "sharegpt": {"conversations": [{"from": "human", "value": "How long?"}, {"from": "gpt", "value": "30 days."}]},
    "turns": {"id": 3, "turns": [{"speaker": "USER", "text": "How long?"}, {"speaker": "SYSTEM", "text": "30 days."}]},
}


def test_each_line_of_a_file_is_read_in_its_own_format(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text("\n".join([*(json.dumps(line) for line in LINES.values()), "nonsense", '{"a": 1}']) + "\n")
    used, bad = _read(path)
    assert _said(used[0]) == [("user", "Question 0?"), ("assistant", "Answer 0.")]
    assert _said(used[3]) == [("system", "Be brief."), *SAID]
    for place in (1, 2, 4, 5):
        assert _said(used[place]) == SAID
    assert used[1].turns[1].interaction.document_ids == ("d",)
    assert bad == [
        BadRecord("line is no JSON object", "talk.jsonl, line 7"),
        BadRecord("record is no conversation of a known form", "talk.jsonl, line 8"),
    ]


@pytest.mark.parametrize("kind", LINES)
def test_a_dict_is_read_as_a_line_and_its_turns_follow_each_other(kind: str) -> None:
    (used,), bad = _read([LINES[kind]])
    assert bad == []
    assert [turn.parent_id for turn in used.turns] == [None, *(turn.interaction.id for turn in used.turns[:-1])]
    assert used.head.tip == used.turns[-1].interaction.id


def test_turns_without_times_have_the_same_one_each_time() -> None:
    (used,), _ = _read([LINES["openai"]])
    assert {turn.interaction.created_at for turn in used.turns} == {datetime(1970, 1, 1, tzinfo=UTC)}
    assert used.turns[0].interaction.id == f"{used.head.id}/1"


def test_times_ids_and_documents_of_turns_are_kept() -> None:
    turn = {
        "role": "assistant",
        "content": "Yes.",
        "timestamp": "2025-04-12T09:30:00Z",
        "id": "t",
        "document_ids": "d1",
    }
    (used,), _ = _read([{"id": "c", "user_id": "u", "dialogue": [turn], "metadata": {"a": 1}}], "dialogue")
    interaction = used.turns[0].interaction
    assert (interaction.id, interaction.document_ids) == ("t", ("d1",))
    assert interaction.created_at == datetime(2025, 4, 12, 9, 30, tzinfo=UTC) == used.head.created_at
    assert (used.head.id, used.head.user_id, dict(used.head.metadata)) == ("c", "u", {"a": 1})


def test_a_native_dict_without_ids_gets_the_same_ones_each_time() -> None:
    turn = {"role": "user", "content": "Hm?", "feedback": [{"stars": 4}]}
    (used,), bad = _read([{"format": "ragtime.conversation", "version": 1, "id": "c", "turns": [turn]}])
    assert bad == []
    assert used.turns[0].interaction.id == "c/1"
    assert used.turns[0].interaction.feedback[0].id == "c/1/f1"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "record is no conversation"),
        ({"turns": "abc"}, "turns is no list"),
        ({"turns": []}, "conversation has no turns"),
        ({"turns": ["abc"]}, "a turn is no object"),
        ({"turns": [{"text": "abc"}]}, "a turn has no speaker"),
        ({"turns": [{"role": "ghost", "text": "abc"}]}, "a turn has an unknown speaker"),
        ({"turns": [{"role": "user"}]}, "a turn has no text"),
        ({"turns": [{"role": "user", "text": "a", "timestamp": "soon"}]}, "timestamp is no time"),
        ({"turns": [{"role": "user", "text": "a", "document_ids": 3}]}, "document_ids of a turn are no ids"),
        ({"turns": [{"role": "user", "text": " "}]}, "no conversation of the known form"),
        ({"turns": [{"id": "a", "role": "user", "text": "x"}] * 2}, "turns do not hang together"),
        ({"id": [], "turns": [{"role": "user", "text": "x"}]}, "id is no id"),
        ({"history": {}}, "history is no list"),
        ({"history": [{"query": "secret"}]}, "no conversation of the legacy form"),
        ({"messages": [{"role": "user", "content": 3}]}, "no conversation of the openai form"),
        ({"conversations": [{"from": "secret", "value": "x"}]}, "no conversation of the sharegpt form"),
        ({"format": "ragtime.conversation", "version": 99}, "no conversation of the ragtime form"),
        ({"format": []}, "record is no conversation of a known form"),
    ],
)
def test_a_conversation_that_cannot_be_used_is_named(record: object, reason: str) -> None:
    used, bad = _read([record, LINES["turns"]])
    assert len(used) == 1
    assert [one.reason for one in bad] == [reason]
    assert bad[0].where.startswith("conversations, record 1")
    assert "secret" not in str(bad)


def test_a_long_conversation_over_several_lines_is_one(tmp_path: Path) -> None:
    with ConversationManager(store=MemoryConversationStore(), user_id="u") as manager:
        for name in ("short", "long"):
            manager.save_conversation(_conversation(name, 700 if name == "long" else 1))
        manager.export_conversations(tmp_path / "all.jsonl")
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert len(lines) == 4
    used, bad = _read(tmp_path / "all.jsonl")
    assert {one.head.id: len(one.turns) for one in used} == {"short": 2, "long": 1400}
    assert bad == []
    for missing in range(4):
        (tmp_path / "part.jsonl").write_text("\n".join(lines[:missing] + lines[missing + 1 :]))
        used, bad = _read(tmp_path / "part.jsonl")
        assert len(used) == 1
        assert {one.reason for one in bad} <= {"a line of a long conversation is missing or wrong"}


def test_a_manager_gives_the_conversations_of_its_user_alone() -> None:
    store = MemoryConversationStore()
    with ConversationManager(store=store, user_id="u") as manager:
        conversation = manager.create_conversation("kept")
        conversation.add_exchange("How long?", "30 days.")
        manager.create_conversation("other", user_id="v").add_interaction("user", "Mine.")
        conversation.add_feedback(conversation.get_interactions()[-1], 5)
        (used,), bad = _read(manager)
    assert (used.head.id, _said(used), bad) == ("kept", SAID, [])
    assert used.turns[1].interaction.stars == 5


def test_branches_of_a_conversation_are_kept() -> None:
    conversation = _conversation()
    (used,), _ = _read([conversation])
    assert used == SourceConversation(conversation.head, conversation.stored_turns())
    assert _read([used]) == ([used], [])


def test_a_single_conversation_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="put it into a list"):
        conversation_reader(_conversation(), turns_field="turns")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
TURN = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "tool"]) | JSON,
        "from": st.sampled_from(["human", "gpt", "function_call"]) | JSON,
        "content": JSON, "text": JSON, "value": JSON, "timestamp": JSON, "id": JSON, "query": JSON, "response": JSON,
    },
)  # fmt: skip
TURNS = st.lists(TURN, max_size=3) | JSON
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "format": st.sampled_from(["ragtime.conversation", "ragtime.turns"]) | JSON,
        "version": st.integers(0, 3), "after": JSON, "goes_on": st.booleans(), "id": JSON, "turns": TURNS,
        "messages": TURNS, "conversations": TURNS, "history": TURNS, "metadata": JSON, "user_id": JSON, "system": JSON,
    },
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(RECORD | JSON, max_size=4))
def test_no_record_ever_raises(records: list[object]) -> None:
    used, bad = _read([*records, LINES["turns"]])
    assert len(used) + len(bad) <= len(records) + 1
    assert _said(used[-1]) == SAID
    assert bool(records) <= bool(len(used) + len(bad) > 1)
