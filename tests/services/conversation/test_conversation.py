"""Conversations: turns added, rated, branched, searched, and kept in a store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ragtime.errors import ConversationExistsError, InvalidArgumentError, StorageError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Feedback, Fork, Interaction, StoredTurn, ToolCall
from ragtime.services.conversation import Branch, Conversation
from ragtime.storage.conversations import MemoryConversationStore

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
CALL = ToolCall(id="c1", name="weather")


def said(role: str, content: str = "", **fields: Any) -> Interaction:
    return Interaction(role=role, content=content, **{"created_at": NOON, **fields})  # type: ignore[arg-type]


class Clock:
    """Goes on by a minute at each look."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        self.time += timedelta(minutes=1)
        return self.time


class FragileStore(MemoryConversationStore):
    """Fails to write while it is broken."""

    broken = False

    def _fail(self) -> None:
        if self.broken:
            raise StorageError("The disk is full")

    def create(self, head: ConversationHead, turns: Sequence[StoredTurn] = ()) -> None:
        self._fail()
        super().create(head, turns)

    def append(self, user_id: str | None, conversation_id: str, turns: Sequence[StoredTurn]) -> None:
        self._fail()
        super().append(user_id, conversation_id, turns)

    def update(self, user_id: str | None, conversation_id: str, **values: Any) -> None:
        self._fail()
        super().update(user_id, conversation_id, **values)

    def add_feedback(self, user_id: str | None, conversation_id: str, turn_id: str, feedback: Feedback) -> None:
        self._fail()
        super().add_feedback(user_id, conversation_id, turn_id, feedback)


def attached(store: ConversationStore, conversation_id: str = "c", *, user_id: str | None = "u") -> Conversation:
    head = ConversationHead(id=conversation_id, user_id=user_id, created_at=NOON)
    store.create(head)
    return Conversation._restored(head, [], store=store, clock=Clock())


def reloaded(store: ConversationStore, conversation: Conversation) -> Conversation:
    head = store.head(conversation.user_id, conversation.conversation_id)
    assert head is not None
    turns = store.turns(conversation.user_id, conversation.conversation_id)
    return Conversation._restored(head, turns, store=store)


@pytest.fixture
def conversation() -> Conversation:
    return Conversation("c", clock=Clock())


def contents(conversation: Conversation, **filters: Any) -> list[str]:
    return [turn.content for turn in conversation.get_interactions(**filters)]


# --- adding -----------------------------------------------------------------------------------------------------


def test_a_new_conversation_is_empty_and_true() -> None:
    conversation = Conversation(user_id="u", metadata={"a": 1})
    assert (len(conversation), list(conversation), bool(conversation)) == (0, [], True)
    assert (conversation.user_id, conversation.metadata, conversation.head.tip) == ("u", {"a": 1}, None)
    assert conversation.conversation_id != Conversation().conversation_id


def test_a_turn_is_added_with_all_its_fields(conversation: Conversation) -> None:
    turn = conversation.add_interaction("assistant", "Yes.", document_ids=["d"], metadata={"a": 1}, name="bot", id="t")
    assert conversation.get_interactions() == [turn]
    assert (turn.id, turn.document_ids, turn.metadata, turn.name) == ("t", ("d",), {"a": 1}, "bot")
    assert turn.created_at == NOON + timedelta(minutes=2)
    assert conversation.get_interaction("t") is turn
    assert conversation.head.tip == "t"


@pytest.mark.parametrize(
    ("role", "content", "fields"),
    [("human", "Hi", {}), ("user", " ", {}), ("user", "Hi", {"rating": 5}), ("user", "\ud800", {}), ("tool", "x", {})],
)
def test_a_wrong_turn_changes_nothing(conversation: Conversation, role: Any, content: str, fields: Any) -> None:
    before = conversation.to_dict()
    with pytest.raises(ValidationError):
        conversation.add_interaction(role, content, **fields)
    assert conversation.to_dict() == before


def test_a_turn_lies_in_the_future_by_no_more_than_clocks_differ() -> None:
    conversation = Conversation(clock=lambda: NOON)
    conversation.add_interaction("user", "soon", created_at=NOON + timedelta(minutes=5))
    with pytest.raises(InvalidArgumentError, match="future"):
        conversation.add_interaction("user", "later", created_at=NOON + timedelta(minutes=5, seconds=1))
    with pytest.raises(ValidationError, match="timezone"):
        conversation.add_interaction("user", "when", created_at=datetime(2025, 1, 1))  # noqa: DTZ001 - it is the point
    assert contents(conversation) == ["soon"]


def test_an_exchange_is_a_question_and_its_answer(conversation: Conversation) -> None:
    question, answer = conversation.add_exchange("Why?", "So.", document_ids=["d"], metadata={"a": 1})
    assert conversation.get_interactions() == [question, answer]
    assert (question.role, answer.role, answer.document_ids, answer.metadata) == ("user", "assistant", ("d",), {"a": 1})
    assert question.created_at == answer.created_at


@pytest.mark.parametrize(("query", "response"), [("Why?", " "), ("", "So."), ("Why?", "\0"), ("\ud800", "So.")])
def test_an_exchange_is_added_whole_or_not_at_all(conversation: Conversation, query: str, response: str) -> None:
    conversation.add_interaction("user", "Hi")
    with pytest.raises(ValidationError):
        conversation.add_exchange(query, response)
    assert contents(conversation) == ["Hi"]


def test_turns_are_added_all_or_none(conversation: Conversation) -> None:
    one, two = said("user", "one"), said("user", "two")
    conversation.add_interactions(iter([one]))
    with pytest.raises(InvalidArgumentError, match="already"):
        conversation.add_interactions([two, one])
    with pytest.raises(InvalidArgumentError, match="already"):
        conversation.add_interactions([two, two])
    conversation.add_interactions([])
    assert conversation.get_interactions() == [one]


def test_tool_results_answer_a_call_that_waits(conversation: Conversation) -> None:
    conversation.add_interaction("assistant", tool_calls=[CALL, ToolCall(id="c2", name="weather")])
    conversation.add_interaction("tool", "Rain", tool_call_id="c2")
    conversation.add_interaction("user", "Well?")
    conversation.add_interaction("tool", "Sun", tool_call_id="c1")
    before = conversation.to_dict()
    for call, told in (("c1", "answered already"), ("c2", "answered already"), ("c3", "no call of this conversation")):
        with pytest.raises(InvalidArgumentError, match=told):
            conversation.add_interaction("tool", "Snow", tool_call_id=call)
    assert conversation.to_dict() == before
    conversation.add_interaction("assistant", tool_calls=[CALL])
    conversation.add_interaction("tool", "Fog", tool_call_id="c1")
    assert len(conversation) == 6


def test_a_result_comes_after_its_call_within_one_batch_too(conversation: Conversation) -> None:
    call = said("assistant", tool_calls=[CALL])
    rain = said("tool", "Rain", tool_call_id="c1")
    for batch in ([rain, call], [call, rain, rain.model_copy(update={"id": "again"})]):
        with pytest.raises(InvalidArgumentError, match="tool call 'c1'"):
            conversation.add_interactions(batch)
        assert len(conversation) == 0
    conversation.add_interactions([call, rain])


def test_each_branch_has_calls_of_its_own(conversation: Conversation) -> None:
    question = conversation.add_interaction("user", "Weather?")
    calling = conversation.add_interaction("assistant", tool_calls=[CALL])
    rain = conversation.add_interaction("tool", "Rain", tool_call_id="c1")
    conversation.edit(question, "Hello")
    with pytest.raises(InvalidArgumentError, match="no call"):
        conversation.add_interaction("tool", "Rain", tool_call_id="c1")
    conversation.switch(rain)
    with pytest.raises(InvalidArgumentError, match="answered already"):
        conversation.add_interaction("tool", "Rain", tool_call_id="c1")
    conversation.switch(calling)
    conversation.add_interaction("tool", "Snow", tool_call_id="c1")
    assert contents(conversation) == ["Weather?", "", "Snow"]
    conversation.switch(rain)
    assert conversation.edit(rain, "Hail").tool_call_id == "c1"


# --- feedback and metadata --------------------------------------------------------------------------------------


def test_a_turn_is_rated_more_than_once(conversation: Conversation) -> None:
    turn = conversation.add_interaction("assistant", "Yes.")
    first = conversation.add_feedback(turn, 5, comment="Good", aspects={"correct": 4}, by="ann")
    second = conversation.add_feedback(turn.id, 2)
    rated = conversation.get_interaction(turn.id)
    assert (rated.feedback, rated.stars, turn.feedback) == ((first, second), 3.5, ())
    assert conversation.get_interactions() == [rated]
    replaced = conversation.add_feedback(turn, 4, id=first.id)
    assert set(conversation.get_interaction(turn.id).feedback) == {second, replaced}


def test_turns_of_other_branches_are_rated_too(conversation: Conversation) -> None:
    turn = conversation.add_interaction("assistant", "Yes.")
    conversation.regenerate(turn, "No.")
    conversation.add_feedback(turn, 1)
    assert conversation.get_interaction(turn.id).stars == 1
    assert contents(conversation) == ["No."]


def test_wrong_feedback_changes_nothing(conversation: Conversation) -> None:
    turn = conversation.add_interaction("assistant", "Yes.")
    for stars, fields in ((0, {}), (6, {}), (3, {"aspects": {"a": 0}}), (3, {"rating": 1}), (3, {"comment": "\ud800"})):
        with pytest.raises(ValidationError):
            conversation.add_feedback(turn, stars, **fields)
    with pytest.raises(InvalidArgumentError, match="no turn"):
        conversation.add_feedback("nowhere", 3)
    assert conversation.get_interactions() == [turn]


def test_metadata_is_set_and_removed(conversation: Conversation) -> None:
    conversation.update_metadata({"a": 1, "b": [1]}, c=None)
    conversation.update_metadata(a=2)
    conversation.remove_metadata("b", "never there")
    assert conversation.metadata == {"a": 2, "c": None}
    with pytest.raises(ValidationError):
        conversation.update_metadata(d=object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        conversation.metadata["e"] = 1  # type: ignore[index]
    assert conversation.metadata == {"a": 2, "c": None}


# --- reading ----------------------------------------------------------------------------------------------------


def test_turns_are_filtered(conversation: Conversation) -> None:
    for number, role in enumerate(["system", "user", "assistant", "user"]):
        time = NOON + timedelta(seconds=number)
        conversation.add_interaction(role, f"{number}", created_at=time, metadata={"even": number % 2 == 0})  # type: ignore[arg-type]
    second = NOON + timedelta(seconds=1)
    for filters, expected in [
        ({}, "0123"),
        ({"role": "user"}, "13"),
        ({"since": second}, "123"),
        ({"until": second}, "0"),
        ({"since": second, "until": second + timedelta(seconds=2)}, "12"),
        ({"where": {"even": True}}, "02"),
        ({"where": {"even": True, "other": None}}, ""),
        ({"where": lambda turn: turn.content > "1"}, "23"),
        ({"last": 2}, "23"),
        ({"last": 0}, ""),
        ({"last": 9}, "0123"),
        ({"role": "user", "last": 1}, "3"),
    ]:
        assert "".join(contents(conversation, **filters)) == expected
    found = conversation.get_interactions()
    found.clear()
    assert len(conversation) == 4


def test_wrong_filters_are_refused(conversation: Conversation) -> None:
    for filters in ({"last": -1}, {"since": datetime(2025, 1, 1)}, {"until": datetime(2025, 1, 1)}):  # noqa: DTZ001
        with pytest.raises(InvalidArgumentError):
            conversation.get_interactions(**filters)


def test_a_role_that_no_turn_can_have_is_refused(conversation: Conversation) -> None:
    """It would find nothing, as if there were nothing to find."""
    for role in ("User", "bot", ""):
        with pytest.raises(InvalidArgumentError, match="role is one of system, user, assistant, tool, found"):
            conversation.get_interactions(role=role)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match="role is one of"):
            conversation.search("free", role=role)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match="role is one of"):
            conversation.window(100, first_role=role)  # type: ignore[arg-type]


def test_a_turn_is_named_by_its_id_or_by_itself(conversation: Conversation) -> None:
    _, turn = conversation.add_exchange("Why?", "So.")
    conversation.add_feedback(turn, 4)
    assert conversation.get_interaction(turn) == conversation.get_interaction(turn.id)
    assert conversation.get_interaction(turn).stars == 4, "as it is now, not as it was given"
    before = conversation.to_dict()
    for call in (
        lambda: conversation.get_interaction(0),  # type: ignore[arg-type]
        lambda: conversation.add_feedback(0, 4),  # type: ignore[arg-type]
        lambda: conversation.edit(None, "So."),  # type: ignore[arg-type]
        lambda: conversation.regenerate(1, "So."),  # type: ignore[arg-type]
        lambda: conversation.switch(["a"]),  # type: ignore[arg-type]
        lambda: conversation.fork(0),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidArgumentError, match="by its id, or given itself; found"):
            call()
    assert conversation.to_dict() == before


@pytest.mark.parametrize("wrong", ["abc", [{"role": "user", "content": "a"}], [None]])
def test_what_is_no_turn_is_refused(conversation: Conversation, wrong: Any) -> None:
    before = conversation.to_dict()
    with pytest.raises(InvalidArgumentError, match=r"a turn is an Interaction, found (str|dict|NoneType)"):
        conversation.add_interactions(wrong)
    assert conversation.to_dict() == before


def test_search_goes_by_stems_and_keeps_the_order_of_ties(conversation: Conversation) -> None:
    texts = ["Returns are free.", "Hello", "returning is FREE", "Is it free?", "return, return"]
    for number, text in enumerate(texts):
        conversation.add_interaction("assistant" if number % 2 else "user", text)
    assert {found.place for found in conversation.search("returned")} == {0, 2, 4}
    assert conversation.search("returned")[0].place == 4
    assert [found.place for found in conversation.search("free", role="assistant")] == [3]
    assert [found.place for found in conversation.search("return free", k=1)] == [0]
    assert conversation.search("zebra") == conversation.search("") == []
    for found in conversation.search("free"):
        assert found.interaction == conversation.get_interactions()[found.place]
        assert found.score > 0


def test_equally_good_turns_come_in_their_order(conversation: Conversation) -> None:
    for number in range(40):
        conversation.add_interaction("user", "a red bus" if number % 3 else "a blue train")
    expected = [number for number in range(40) if number % 3]
    assert [found.place for found in conversation.search("bus", k=100)] == expected
    assert [found.place for found in conversation.search("bus", k=5)] == expected[:5]


def test_search_follows_the_branch_and_new_turns(conversation: Conversation) -> None:
    first = conversation.add_interaction("user", "a red bus")
    assert len(conversation.search("bus")) == 1
    conversation.add_interaction("user", "the bus again")
    assert len(conversation.search("bus")) == 2
    conversation.edit(first, "a blue train")
    assert conversation.search("bus") == []
    conversation.add_feedback(first, 5)
    conversation.switch(first)
    assert conversation.search("bus")[0].interaction.stars == 5
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        conversation.search("bus", k=0)


# --- branches ---------------------------------------------------------------------------------------------------


def test_an_edit_is_a_branch_beside_the_original(conversation: Conversation) -> None:
    question = conversation.add_interaction("user", "Why?", name="ann", metadata={"a": 1})
    answer = conversation.add_interaction("assistant", "So.")
    edited = conversation.edit(question, "How?")
    assert conversation.get_interactions() == [edited]
    assert (edited.name, edited.role, edited.metadata) == ("ann", "user", {"a": 1, "edited_from": question.id})
    assert edited.created_at > answer.created_at
    assert conversation.get_interaction(question.id) == question
    assert conversation.branches() == [Branch(answer.id, 2, active=False), Branch(edited.id, 1, active=True)]
    conversation.switch(answer)
    assert conversation.get_interactions() == [question, answer]


def test_an_edit_keeps_every_field_but_those_named_in_its_description(conversation: Conversation) -> None:
    """`edit`: "the others, but for id, time, parts and feedback, are the original's"."""
    turn = conversation.add_interaction("assistant", "So.", document_ids=["d"], tool_calls=[CALL], name="bot")
    conversation.add_feedback(turn, 5)
    edited = conversation.edit(turn, "Thus.")
    assert (edited.feedback, edited.name) == ((), "bot")
    assert (edited.document_ids, edited.tool_calls) == (("d",), (CALL,))


def test_an_answer_is_given_again(conversation: Conversation) -> None:
    question, answer = conversation.add_exchange("Why?", "So.", document_ids=["d"])
    conversation.add_feedback(answer, 1)
    other = conversation.regenerate(answer.id, "Because.", document_ids=["e"], metadata={"model": "m"})
    assert conversation.get_interactions() == [question, other]
    assert (other.metadata, other.document_ids) == ({"model": "m", "regenerated_from": answer.id}, ("e",))
    assert (other.feedback, conversation.get_interaction(answer.id).stars) == ((), 1)
    with pytest.raises(InvalidArgumentError, match="assistant"):
        conversation.regenerate(question, "Because.")


@pytest.mark.parametrize("change", ["edit", "regenerate"])
def test_a_wrong_change_leaves_the_branch(conversation: Conversation, change: str) -> None:
    answer = conversation.add_interaction("assistant", "So.")
    before = conversation.to_dict()
    for turn, content, fields in [
        ("nowhere", "x", {}),
        (answer.id, " ", {}),
        (answer.id, "x", {"rating": 1}),
        (answer.id, "x", {"id": answer.id}),
    ]:
        with pytest.raises(ValueError):  # noqa: PT011 - errors of two kinds, both ValueError
            getattr(conversation, change)(turn, content, **fields)
    assert conversation.to_dict() == before


def test_a_branch_goes_on_from_any_turn(conversation: Conversation) -> None:
    first, second = conversation.add_exchange("Why?", "So.")
    conversation.switch(first)
    assert conversation.get_interactions() == [first]
    third = conversation.add_interaction("assistant", "Because.")
    assert [(one.tip, one.active) for one in conversation.branches()] == [(second.id, False), (third.id, True)]
    with pytest.raises(InvalidArgumentError, match="no turn"):
        conversation.switch("nowhere")
    assert conversation.head.tip == third.id


def test_a_fork_and_its_original_go_their_own_ways(conversation: Conversation) -> None:
    first, second = conversation.add_exchange("Why?", "So.")
    conversation.update_metadata(a=1)
    fork = conversation.fork(first, conversation_id="f")
    before = conversation.to_dict()
    assert fork.head.fork == Fork(conversation_id="c", turn_id=first.id)
    assert (fork.get_interactions(), fork.metadata, fork.conversation_id) == ([first], {"a": 1}, "f")
    fork.add_interaction("assistant", "Because.")
    fork.add_feedback(first, 1)
    fork.edit(first, "How?")
    fork.update_metadata(a=2)
    assert conversation.to_dict() == before
    forked = fork.to_dict()
    conversation.add_feedback(first, 5)
    conversation.add_interaction("user", "Hm")
    conversation.switch(first)
    conversation.remove_metadata("a")
    assert fork.to_dict() == forked
    assert [turn.id for turn in conversation.fork(second).get_interactions()] == [first.id, second.id]


def test_an_empty_conversation_has_nothing_to_fork(conversation: Conversation) -> None:
    with pytest.raises(InvalidArgumentError, match="cannot be forked"):
        conversation.fork()
    conversation.add_interaction("user", "Hi")
    with pytest.raises(InvalidArgumentError, match="no turn"):
        conversation.fork("nowhere")


# --- in a store -------------------------------------------------------------------------------------------------


def changes_of(conversation: Conversation) -> dict[str, Callable[[], object]]:
    """Return every change that can be made, by name."""
    first = conversation.get_interactions()[0]
    answer = conversation.get_interactions(role="assistant")[0]
    return {
        "add_interaction": lambda: conversation.add_interaction("user", "more"),
        "add_exchange": lambda: conversation.add_exchange("and", "so"),
        "add_interactions": lambda: conversation.add_interactions([said("user", "new")]),
        "add_feedback": lambda: conversation.add_feedback(first, 4, comment="fine"),
        "update_metadata": lambda: conversation.update_metadata(b=[1, {"c": None}]),
        "remove_metadata": lambda: conversation.remove_metadata("a"),
        "edit": lambda: conversation.edit(first, "other"),
        "regenerate": lambda: conversation.regenerate(answer, "other"),
        "switch": lambda: conversation.switch(first),
    }


_CHANGES = [
    *["add_interaction", "add_exchange", "add_interactions", "add_feedback", "update_metadata", "remove_metadata"],
    *["edit", "regenerate", "switch"],
]


@pytest.mark.parametrize("change", _CHANGES)
def test_a_change_is_stored_before_the_call_returns(change: str) -> None:
    store = FragileStore()
    conversation = attached(store)
    conversation.update_metadata(a=1)
    conversation.add_exchange("Why?", "So.")
    before = conversation.to_dict()
    changes_of(conversation)[change]()
    assert reloaded(store, conversation).to_dict() == conversation.to_dict() != before


@pytest.mark.parametrize("change", _CHANGES)
def test_a_store_that_fails_leaves_the_conversation_as_before(change: str) -> None:
    store = FragileStore()
    conversation = attached(store)
    conversation.update_metadata(a=1)
    conversation.add_exchange("Why?", "So.")
    before, window, found = conversation.to_dict(), conversation.window(), conversation.search("why")
    store.broken = True
    with pytest.raises(StorageError, match="disk is full"):
        changes_of(conversation)[change]()
    assert conversation.to_dict() == before == reloaded(store, conversation).to_dict()
    assert (conversation.window(), conversation.search("why")) == (window, found)
    store.broken = False
    changes_of(conversation)[change]()
    assert reloaded(store, conversation).to_dict() == conversation.to_dict() != before


def test_a_result_whose_storing_failed_can_be_given_again() -> None:
    store = FragileStore()
    conversation = attached(store)
    conversation.add_interaction("assistant", tool_calls=[CALL])
    store.broken = True
    with pytest.raises(StorageError):
        conversation.add_interaction("tool", "Rain", tool_call_id="c1")
    store.broken = False
    conversation.add_interaction("tool", "Rain", tool_call_id="c1")
    assert len(reloaded(store, conversation)) == 2


def test_what_is_refused_never_reaches_the_store() -> None:
    store = MemoryConversationStore()
    conversation = attached(store)
    conversation.add_interaction("user", "Hi", id="t")
    for bad in (
        said("tool", "x", tool_call_id="nowhere"),
        said("user", "x", id="t"),
        said("user", "x", created_at=NOON + timedelta(days=900)),
    ):
        with pytest.raises(InvalidArgumentError):
            conversation.add_interactions([said("user", "good"), bad])
    assert [turn.interaction.id for turn in store.turns("u", "c")] == ["t"]


def test_a_fork_is_stored_and_attached() -> None:
    store = FragileStore()
    conversation = attached(store)
    question, _ = conversation.add_exchange("Why?", "So.")
    fork = conversation.fork(question, conversation_id="f")
    fork.add_interaction("assistant", "Because.")
    assert reloaded(store, fork).to_dict() == fork.to_dict()
    assert reloaded(store, conversation).to_dict() == conversation.to_dict()
    with pytest.raises(ConversationExistsError):
        conversation.fork(question, conversation_id="f")
    store.broken = True
    with pytest.raises(StorageError):
        conversation.fork(conversation_id="g")
    assert store.head("u", "g") is None


def test_feedback_on_a_turn_that_two_conversations_share_is_one() -> None:
    """The turn is stored once, and so is what people thought of it."""
    store = MemoryConversationStore()
    conversation = attached(store)
    question, _ = conversation.add_exchange("Why?", "So.")
    fork = conversation.fork(conversation_id="f")
    fork.add_feedback(question, 1)
    assert reloaded(store, fork).get_interaction(question.id).stars == 1
    assert reloaded(store, conversation).get_interaction(question.id).stars == 1
    assert [turn.id for turn in reloaded(store, conversation)] == [turn.id for turn in conversation]


_OPERATIONS = ["user", "assistant", "edit", "regenerate", "switch", "rate", "set", "remove", "call", "result", "break"]


@given(st.lists(st.tuples(st.sampled_from(_OPERATIONS), st.integers(0, 9)), max_size=20))
@settings(max_examples=150)
def test_the_store_always_holds_what_the_conversation_does(operations: list[tuple[str, int]]) -> None:
    store = FragileStore()
    conversation = attached(store)
    for operation, number in operations:
        turns = [Interaction(**turn) for turn in _plain_turns(conversation)]
        some = turns[number % len(turns)] if turns else said("user", "nowhere")
        before = conversation.to_dict()
        made: Mapping[str, Callable[[], object]] = {
            "user": lambda number=number: conversation.add_interaction("user", f"question {number}"),
            "assistant": lambda number=number: conversation.add_exchange("why", f"answer {number}"),
            "edit": lambda some=some: conversation.edit(some, "edited"),
            "regenerate": lambda some=some: conversation.regenerate(some, "again"),
            "switch": lambda some=some: conversation.switch(some),
            "rate": lambda some=some, number=number: conversation.add_feedback(some, 1 + number % 5),
            "set": lambda number=number: conversation.update_metadata({f"m{number % 3}": number}),
            "remove": lambda number=number: conversation.remove_metadata(f"m{number % 3}"),
            "call": lambda: conversation.add_interaction("assistant", tool_calls=[CALL]),
            "result": lambda: conversation.add_interaction("tool", "Rain", tool_call_id="c1"),
        }
        if operation == "break":
            store.broken = not store.broken
            continue
        try:
            made[operation]()
        except (InvalidArgumentError, StorageError):
            assert conversation.to_dict() == before
        assert reloaded(store, conversation).to_dict() == conversation.to_dict()


def _plain_turns(conversation: Conversation) -> Iterator[dict[str, Any]]:
    for turn in conversation.to_dict()["turns"]:
        yield {name: value for name, value in turn.items() if name != "parent_id"}


# --- threads ----------------------------------------------------------------------------------------------------


def test_many_threads_add_rate_and_read() -> None:
    store = MemoryConversationStore()
    conversation = attached(store)
    root = conversation.add_interaction("user", "begin")

    def work(name: int) -> None:
        for number in range(20):
            conversation.add_exchange(f"question {name} {number}", f"answer {name} {number}")
            conversation.add_feedback(root, 3)
            conversation.window(50)
            conversation.search("question", k=3)
            conversation.get_interactions(last=2)

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work, name) for name in range(8)]:
            done.result()
    found = contents(conversation)
    assert len(found) == 1 + 8 * 20 * 2
    for question, answer in zip(found[1::2], found[2::2], strict=True):
        assert question.replace("question", "answer") == answer
    assert len(conversation.get_interaction(root.id).feedback) == 160
    assert len(conversation.branches()) == 1
    assert reloaded(store, conversation).to_dict() == conversation.to_dict()
    assert conversation.window(10**9).tokens == reloaded(store, conversation).window(10**9).tokens


def test_two_threads_that_set_metadata_lose_nothing() -> None:
    """The second begins while the first is being stored; the first goes on once the second has looked or must wait."""
    entered, seen = threading.Event(), threading.Event()

    class Values(Mapping[str, int]):
        def __getitem__(self, name: str) -> int:
            return {"b": 2}[name]

        def __iter__(self) -> Iterator[str]:
            seen.set()  # the metadata as it was has been read by now
            return iter(["b"])

        def __len__(self) -> int:
            return 1

    class SlowStore(MemoryConversationStore):
        def update(self, user_id: str | None, conversation_id: str, **values: Any) -> None:
            entered.set()
            seen.wait(0.3)
            super().update(user_id, conversation_id, **values)

    conversation = attached(SlowStore())
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(conversation.update_metadata, {"a": 1})
        assert entered.wait(60)
        second = threads.submit(conversation.update_metadata, Values())
        first.result()
        second.result()
    assert conversation.metadata == {"a": 1, "b": 2}
