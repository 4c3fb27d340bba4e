"""Turns come back as they were stored, in their order, each once."""

# ruff: noqa: S101 - these are tests, although they come with the package

from __future__ import annotations

import pytest

from ragtime.errors import ConversationNotFoundError, InvalidArgumentError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import (
    ConversationHead,
    Feedback,
    Fork,
    ImagePart,
    Interaction,
    StoredTurn,
    TextPart,
    ToolCall,
)
from ragtime.testing.store_conformance.base import START, StoreTests, ids_of, tip_of, turn

__all__ = ["TurnTests"]


class TurnTests(StoreTests):
    """Turns come back as they were stored, in their order, each once."""

    def test_a_turn_comes_back_in_every_field(self, store: ConversationStore) -> None:
        """Whatever a turn holds is there again, to the microsecond and the last digit."""
        text = "Grüße \U0001f600\n\x7f'\"; DROP TABLE turns"
        rich = Interaction(
            role="assistant",
            content=text,
            created_at=START,
            metadata={"a": [1, 2.5, 1e300, -0.0, 10**40, None, {"b": True}], "ключ": "\x00\\u0000"},
            document_ids=("d2", "d1"),
            tool_calls=(ToolCall(id="t", name="search", arguments='{"q": 1 }'),),
            name="Ann",
            parts=(TextPart(text=text), ImagePart(url="https://example.org/y.png", width=3)),
            token_counts={"words": 7},
            feedback=(Feedback(stars=2.5, comment="so so", aspects={"correct": 5.0}, metadata={"x": 1}),),
        )
        store.create(ConversationHead(id="c", user_id="u"), [StoredTurn(interaction=rich)])
        assert list(store.turns("u", "c")) == [StoredTurn(interaction=rich)]

    def test_turns_come_in_their_order(self, chain: ConversationStore) -> None:
        """Those of all branches, as they were stored, each with the one before it."""
        chain.append(None, "c", [turn("d", "a"), turn("e"), turn("f", "d")])
        assert [(each.interaction.id, each.parent_id) for each in chain.turns(None, "c")] == [
            ("a", None), ("b", "a"), ("c", "b"), ("d", "a"), ("e", None), ("f", "d"),
        ]  # fmt: skip
        assert list(chain.turns(None, "missing")) == []

    def test_one_turn_is_read_by_itself(self, chain: ConversationStore) -> None:
        """As it is in the conversation, with its feedback; nothing where there is none, or it is another user's."""
        chain.add_feedback(None, "c", "b", Feedback(stars=4))
        listed = {each.interaction.id: each for each in chain.turns(None, "c")}
        assert {name: chain.turn(None, "c", name) for name in listed} == listed
        for user_id, conversation_id, turn_id in ((None, "c", "z"), (None, "z", "a"), ("u", "c", "a")):
            assert chain.turn(user_id, conversation_id, turn_id) is None

    def test_more_turns_than_one_page(self, store: ConversationStore) -> None:
        """A long conversation, and a fork of it, come in full."""
        names = [f"t{number}" for number in range(1234)]
        turns = [turn(name, parent) for name, parent in zip(names, [None, *names], strict=False)]
        store.create(ConversationHead(id="c"), turns)
        store.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="t1200")), [turn("x", "t1200")])
        assert list(store.turns(None, "c")) == turns
        assert ids_of(store.turns(None, "f")) == [*names[:1201], "x"]
        assert [change[2].interaction.id for change in store.changes(None)] == [*names, "x"]

    def test_appending_needs_a_conversation(self, store: ConversationStore) -> None:
        """All that changes a conversation fails where there is none."""
        for act in (
            lambda: store.append(None, "c", [turn("a")]),
            lambda: store.update(None, "c", metadata={}),
            lambda: store.add_feedback(None, "c", "a", Feedback(stars=1)),
            lambda: store.forget(None, conversation_id="c"),
            lambda: store.conversations(None, after="c"),
        ):
            with pytest.raises(ConversationNotFoundError):
                act()
        assert store.users() == []

    def test_appending_is_all_or_nothing(self, chain: ConversationStore) -> None:
        """A wrong turn keeps the others of its call out."""
        for turns in ([turn("x", "c"), turn("y", "missing")], [turn("x", "c"), turn("a", content="other")]):
            with pytest.raises(InvalidArgumentError):
                chain.append(None, "c", turns)
        assert ids_of(chain.turns(None, "c")) == ["a", "b", "c"]

    def test_appending_may_be_repeated(self, chain: ConversationStore) -> None:
        """A turn that is there is passed over, also after it was rated, and the tip stays."""
        chain.append(None, "c", [turn("d", "c")])
        chain.add_feedback(None, "c", "b", Feedback(stars=5))
        chain.append(None, "c", [turn("b", "a"), turn("c", "b")])
        assert ids_of(chain.turns(None, "c")) == ["a", "b", "c", "d"]
        assert tip_of(chain, "c") == "d"
        chain.append(None, "c", [turn("c", "b"), turn("d", "c"), turn("e", "d")])
        assert tip_of(chain, "c") == "e"
        with pytest.raises(InvalidArgumentError):
            chain.append(None, "c", [turn("c", "a")])

    def test_a_turn_comes_with_its_feedback(self, chain: ConversationStore) -> None:
        """Also by itself; what is there already without that feedback is a different turn."""
        rated = turn("d", "c").interaction.with_feedback(Feedback(stars=2, created_at=START))
        chain.append(None, "c", [StoredTurn(rated, "c")])
        chain.append(None, "c", [StoredTurn(rated, "c")])
        assert list(chain.turns(None, "c"))[3:] == [StoredTurn(rated, "c")]
        with pytest.raises(InvalidArgumentError):
            chain.append(None, "c", [StoredTurn(turn("b").interaction.with_feedback(Feedback(stars=2)), "a")])
        assert chain.turn(None, "c", "b") == turn("b", "a")

    def test_nothing_to_append(self, chain: ConversationStore) -> None:
        """An empty call changes nothing."""
        chain.append(None, "c", [])
        assert tip_of(chain, "c") == "c"

    def test_feedback_is_added_and_replaced(self, chain: ConversationStore) -> None:
        """By its id; the rest of the turn stays."""
        first, second = Feedback(stars=1, comment="bad"), Feedback(stars=4)
        better = Feedback(id=first.id, stars=5)
        for feedback in (first, second, better):
            chain.add_feedback(None, "c", "b", feedback)
        found = list(chain.turns(None, "c"))[1].interaction
        assert found.feedback == (second, better)
        with pytest.raises(InvalidArgumentError):
            chain.add_feedback(None, "c", "missing", first)
