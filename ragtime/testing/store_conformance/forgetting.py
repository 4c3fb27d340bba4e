"""Forgetting removes turns, conversations and users, and leaves forks what they share."""

# ruff: noqa: S101 - these are tests, although they come with the package

from __future__ import annotations

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Fork
from ragtime.testing.store_conformance.base import StoreTests, ids_of, tip_of, turn

__all__ = ["ForgettingTests"]


class ForgettingTests(StoreTests):
    """Forgetting removes turns, conversations and users, and leaves forks what they share."""

    def test_forgetting_a_turn_joins_what_follows(self, chain: ConversationStore) -> None:
        """To the turn before it; the tip goes back, and every fork loses the turn."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        chain.create(ConversationHead(id="g", fork=Fork(conversation_id="c", turn_id="b")))
        assert chain.forget(None, conversation_id="f", turn_id="b") == [("c", turn("b", "a"))]
        assert list(chain.turns(None, "c")) == [turn("a"), turn("c", "a")]
        assert list(chain.turns(None, "f")) == [turn("a"), turn("x", "a")]
        assert list(chain.turns(None, "g")) == [turn("a")]
        assert tip_of(chain, "g") == "a"
        assert chain.forget(None, conversation_id="c", turn_id="c") == [("c", turn("c", "a"))]
        assert tip_of(chain, "c") == "a"
        chain.forget(None, conversation_id="c", turn_id="a")
        assert (tip_of(chain, "c"), tip_of(chain, "g"), tip_of(chain, "f")) == (None, None, "x")
        assert list(chain.turns(None, "f")) == [turn("x")]
        assert all(head.fork is None for head in chain.conversations(None))
        with pytest.raises(InvalidArgumentError):
            chain.forget(None, conversation_id="c", turn_id="a")
        chain.append(None, "c", [turn("a", content="anew")])
        assert list(chain.turns(None, "c")) == [turn("a", content="anew")]

    def test_the_tip_after_a_first_turn_was_forgotten(self, chain: ConversationStore) -> None:
        """Where no turn stands before it, the last of those that are left is the tip."""
        chain.append(None, "c", [turn("x"), turn("y")])
        chain.update(None, "c", tip="x")
        chain.forget(None, conversation_id="c", turn_id="x")
        assert tip_of(chain, "c") == "y"

    def test_with_the_last_conversation_goes_the_user(self, chain: ConversationStore) -> None:
        """But not with the last turn: the conversation stays."""
        for name in "abc":
            chain.forget(None, conversation_id="c", turn_id=name)
        assert chain.users() == [None]
        chain.forget(None, conversation_id="c")
        assert chain.users() == []

    def test_forgetting_a_conversation_leaves_its_forks_what_they_share(self, chain: ConversationStore) -> None:
        """The oldest fork takes the turns; the others become forks of it."""
        chain.append(None, "c", [turn("d", "c")])
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        chain.create(ConversationHead(id="g", fork=Fork(conversation_id="c", turn_id="c")), [turn("y", "c")])
        chain.update(None, "g", tip="b")
        last = max(number for number, _, _ in chain.changes(None))
        assert chain.forget(None, conversation_id="c") == [("c", turn("d", "c"))]
        assert chain.head(None, "c") is None
        assert list(chain.turns(None, "f")) == [turn("a"), turn("b", "a"), turn("x", "b")]
        assert list(chain.turns(None, "g")) == [turn("a"), turn("b", "a"), turn("c", "b"), turn("y", "c")]
        found = {head.id: (head.fork, head.tip) for head in chain.conversations(None)}
        assert found == {"f": (None, "x"), "g": (Fork(conversation_id="f", turn_id="b"), "b")}
        moved = [(place, each.interaction.id) for _, place, each in chain.changes(None, after=last)]
        assert moved == [("f", "a"), ("f", "b"), ("g", "c")]
        chain.forget(None, conversation_id="f")
        assert ids_of(chain.turns(None, "g")) == ["a", "b", "c", "y"]

    def test_forgetting_a_user(self, chain: ConversationStore) -> None:
        """Everything goes, and the same ids may be used again."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        chain.create(ConversationHead(id="c", user_id="other"), [turn("a")])
        assert [(place, each.interaction.id) for place, each in chain.forget(None)] == [
            ("c", "a"), ("c", "b"), ("c", "c"), ("f", "x"),
        ]  # fmt: skip
        assert chain.forget(None) == []
        assert chain.users() == ["other"]
        assert chain.lexical_scope(None, ["a"]).turns == 0
        chain.create(ConversationHead(id="c"), [turn("a")])
        assert ids_of(chain.turns(None, "c")) == ["a"]
