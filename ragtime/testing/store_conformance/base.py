"""The store of each test, and what the tests look at it with."""

# ruff: noqa: S101 - these are tests, although they come with the package

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn

__all__ = ["START", "StoreTests", "ids_of", "names_of", "tip_of", "turn"]

START = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
"""When conversations and turns of the tests began."""


def turn(name: str, parent: str | None = None, content: str | None = None) -> StoredTurn:
    """Return a turn of a user.

    Args:
        name: Its id.
        parent: The id of the turn before it; ``None`` for a first turn.
        content: What is said; ``None`` means its id.

    Returns:
        The turn.
    """
    interaction = Interaction(id=name, role="user", content=content or name, created_at=START)
    return StoredTurn(interaction=interaction, parent_id=parent)


class StoreTests:
    """Tests of one kind of store; a subclass says how one is made."""

    def make_store(self, folder: Path) -> ConversationStore:
        """Return a new, empty store.

        Args:
            folder: An empty folder for its files.

        Returns:
            The store; it is closed after the test.
        """
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ConversationStore]:
        """Yield a new store, and close it afterwards."""
        store = self.make_store(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def chain(self, store: ConversationStore) -> ConversationStore:
        """Return the store with a conversation ``c`` of the turns a, b and c, one after the other."""
        store.create(ConversationHead(id="c", created_at=START), [turn("a"), turn("b", "a"), turn("c", "b")])
        return store


def ids_of(turns: Iterator[StoredTurn]) -> list[str]:
    """Return the ids of turns."""
    return [each.interaction.id for each in turns]


def names_of(heads: list[ConversationHead]) -> list[str]:
    """Return the ids of conversations."""
    return [head.id for head in heads]


def tip_of(store: ConversationStore, conversation_id: str) -> str | None:
    """Return the last turn of the active branch of a conversation of no user."""
    found = store.head(None, conversation_id)
    assert found is not None
    return found.tip
