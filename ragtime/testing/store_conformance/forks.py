"""Forks share turns."""

# ruff: noqa: S101, PLR2004 - these are tests, although they come with the package

from __future__ import annotations

import contextlib

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Feedback, Fork
from ragtime.testing.store_conformance.base import StoreTests, ids_of, tip_of, turn

__all__ = ["ForkTests"]


class ForkTests(StoreTests):
    """Forks share turns."""

    def test_a_fork_shares_the_turns_up_to_its_point(self, chain: ConversationStore) -> None:
        """They come first; what either appends later is its own."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")))
        assert tip_of(chain, "f") == "b"
        chain.append(None, "f", [turn("x", "b"), turn("y", "a")])
        chain.append(None, "c", [turn("d", "c"), turn("x", "c", "another x")])
        assert ids_of(chain.turns(None, "f")) == ["a", "b", "x", "y"]
        assert ids_of(chain.turns(None, "c")) == ["a", "b", "c", "d", "x"]
        assert chain.turn(None, "f", "b") == chain.turn(None, "c", "b")
        assert chain.turn(None, "f", "c") is None
        for wrong in (turn("z", "c"), turn("a"), turn("b", "a", "changed")):
            expected = contextlib.nullcontext() if wrong == turn("a") else pytest.raises(InvalidArgumentError)
            with expected:
                chain.append(None, "f", [wrong])
        chain.add_feedback(None, "f", "a", Feedback(stars=3))
        assert next(chain.turns(None, "c")).interaction.stars == 3

    def test_forks_of_forks(self, chain: ConversationStore) -> None:
        """The path leads through all of them."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        chain.create(ConversationHead(id="g", fork=Fork(conversation_id="f", turn_id="x")), [turn("y", "x")])
        chain.create(ConversationHead(id="h", fork=Fork(conversation_id="g", turn_id="a")), [turn("z", "a")])
        assert ids_of(chain.turns(None, "g")) == ["a", "b", "x", "y"]
        assert ids_of(chain.turns(None, "h")) == ["a", "z"]
        chain.update(None, "g", tip="a")
        assert tip_of(chain, "g") == "a"
        with pytest.raises(InvalidArgumentError):
            chain.update(None, "h", tip="b")

    def test_a_fork_is_read_while_its_origin_is_forgotten(self, chain: ConversationStore) -> None:
        """Turns that become its own meanwhile come once."""
        chain.create(ConversationHead(id="f", fork=Fork(conversation_id="c", turn_id="b")), [turn("x", "b")])
        begun = chain.turns(None, "f")
        first = next(begun)
        chain.forget(None, conversation_id="c")
        assert [first.interaction.id, *ids_of(begun)] == ["a", "b", "x"]
