"""Conversations are made once, listed, changed, and each user's alone."""

# ruff: noqa: S101, PLR2004 - these are tests, although they come with the package

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ragtime.errors import ConversationExistsError, ConversationNotFoundError, InvalidArgumentError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Fork, StoredTurn
from ragtime.testing.store_conformance.base import START, StoreTests, ids_of, names_of, tip_of, turn
from ragtime.utils.stems import stems_of

__all__ = ["ConversationTests"]


class ConversationTests(StoreTests):
    """Conversations are made once, listed, changed, and each user's alone."""

    def test_it_is_a_store(self, store: ConversationStore) -> None:
        """It has all methods of the protocol."""
        assert isinstance(store, ConversationStore)

    def test_a_head_comes_back_in_every_field(self, store: ConversationStore) -> None:
        """What is known of a conversation is there again."""
        head = ConversationHead(id="ü", user_id="Zoë", created_at=START, metadata={"a": {"b": [1.5, None, "\x00"]}})
        store.create(head)
        assert store.head("Zoë", "ü") == head
        assert store.head("Zoë", "u") is None

    def test_a_conversation_is_made_once(self, chain: ConversationStore) -> None:
        """Making it again fails and changes nothing."""
        with pytest.raises(ConversationExistsError):
            chain.create(ConversationHead(id="c", metadata={"new": 1}), [turn("x")])
        assert ids_of(chain.turns(None, "c")) == ["a", "b", "c"]

    def test_a_failed_creation_leaves_nothing(self, store: ConversationStore) -> None:
        """Wrong turns, tips and forks are refused, and no conversation, turn or user stays."""
        wrong: list[tuple[ConversationHead, list[StoredTurn]]] = [
            (ConversationHead(id="c"), [turn("a"), turn("b", "missing")]),
            (ConversationHead(id="c"), [turn("b", "a"), turn("a")]),
            (ConversationHead(id="c"), [turn("a"), turn("a", content="other")]),
            (ConversationHead(id="c"), [turn("a"), turn("a")]),
            (ConversationHead(id="c"), [turn("a", "a")]),
            (ConversationHead(id="c", tip="missing"), [turn("a")]),
            (ConversationHead(id="c", fork=Fork(conversation_id="c", turn_id="a")), [turn("a")]),
        ]
        for head, turns in wrong:
            with pytest.raises(InvalidArgumentError):
                store.create(head, turns)
        assert store.head(None, "c") is None
        assert store.users() == []
        store.create(ConversationHead(id="c"), [turn("a")])

    def test_the_tip_follows_the_last_turn_or_choice(self, chain: ConversationStore) -> None:
        """Whichever was later."""
        chain.update(None, "c", tip="a")
        assert tip_of(chain, "c") == "a"
        chain.append(None, "c", [turn("d", "b")])
        assert tip_of(chain, "c") == "d"
        with pytest.raises(InvalidArgumentError):
            chain.update(None, "c", tip="missing", metadata={"not": "kept"})
        assert chain.head(None, "c") == ConversationHead(id="c", created_at=START, tip="d")
        chain.create(ConversationHead(id="e", tip="x"), [turn("x"), turn("y", "x")])
        assert tip_of(chain, "e") == "x"

    def test_metadata_is_replaced(self, chain: ConversationStore) -> None:
        """As a whole, and only when it is given."""
        chain.update(None, "c", metadata={"a": 1, "b": 2})
        chain.update(None, "c", tip="a")
        chain.update(None, "c", metadata={"c": 3})
        found = chain.head(None, "c")
        assert found is not None
        assert found.metadata == {"c": 3}
        with pytest.raises(InvalidArgumentError):
            chain.update(None, "c", metadata={"c": object()})

    def test_conversations_are_listed(self, store: ConversationStore) -> None:
        """The newest first, then by id; by metadata and time; page by page."""
        for number, name in enumerate(["b", "a", "c", "ä", "d"]):
            created = START + timedelta(microseconds=number // 2)
            store.create(ConversationHead(id=name, created_at=created, metadata={"even": number % 2 == 0}))
        names = ["d", "c", "ä", "a", "b"]
        assert names_of(store.conversations(None)) == names
        assert names_of(store.conversations(None, where={"even": True})) == ["d", "c", "b"]
        assert names_of(store.conversations(None, where={"even": False}, limit=1)) == ["ä"]
        assert names_of(store.conversations(None, where={"even": True}, after="c", limit=1)) == ["b"]
        assert names_of(store.conversations(None, where={"missing": None})) == []
        assert names_of(store.conversations(None, since=START + timedelta(microseconds=1))) == names[:3]
        assert names_of(store.conversations(None, until=START + timedelta(microseconds=2))) == names[1:]
        assert names_of(store.conversations(None, limit=0)) == []
        pages = [store.conversations(None, limit=2)]
        while len(pages[-1]) == 2:
            pages.append(store.conversations(None, limit=2, after=pages[-1][-1].id))
        assert [name for page in pages for name in names_of(page)] == names
        for wrong in ({"limit": -1}, {"since": datetime(2026, 1, 1)}):  # noqa: DTZ001 - wrong on purpose
            with pytest.raises(InvalidArgumentError):
                store.conversations(None, **wrong)

    def test_users_see_only_their_own(self, store: ConversationStore) -> None:
        """Same ids, no mixing; no user is neither the user of that name nor the one without."""
        users = [None, "", "+", "-", "None", "none", "u", "u\0c"]
        for number, user in enumerate(users):
            # An empty id is no user's whom a record may name, but a caller may ask for it.
            if user not in ("", "u\0c"):
                store.create(ConversationHead(id="c", user_id=user), [turn("a", content=f"word{number} shared")])
        real = [user for user in users if user not in ("", "u\0c")]
        assert store.users() == [None, "+", "-", "None", "none", "u"]
        for user in users:
            mine = user in real
            word = f"word{users.index(user)} shared"
            contents = [word] if mine else []
            assert [each.interaction.content for each in store.turns(user, "c")] == contents
            assert (store.turn(user, "c", "a") is not None) == (store.head(user, "c") is not None) == mine
            assert [each[2].interaction.content for each in store.changes(user)] == contents
            assert len(store.conversations(user)) == len(contents)
            scope = store.lexical_scope(user, stems_of("shared"))
            assert (scope.turns, len(scope.matches)) == (len(contents), len(contents))
        with pytest.raises(ConversationNotFoundError):
            store.append("", "c", [turn("x")])
        assert store.forget("") == []
        assert len(store.forget("None")) == 1
        assert len(store.conversations(None)) == 1

    def test_ids_that_cannot_be_stored(self, chain: ConversationStore) -> None:
        """Are refused, whatever the call."""
        bad = "\ud800"
        for act in (
            lambda: chain.head(bad, "c"),
            lambda: list(chain.turns(None, bad)),
            lambda: chain.update(None, "c", tip=bad),
            lambda: chain.forget(None, turn_id="a"),
        ):
            with pytest.raises(InvalidArgumentError):
                act()
        assert ids_of(chain.turns(None, "c")) == ["a", "b", "c"]
