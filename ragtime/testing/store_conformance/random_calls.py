"""Random calls of a store, and what comes of them."""

# ruff: noqa: PLR2004 - these are tests, although they come with the package

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from ragtime.errors import RagtimeError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, Feedback, Fork, StoredTurn
from ragtime.testing.store_conformance.base import START, ids_of, turn

__all__ = ["USERS", "RandomCalls", "contents_of", "outcome_of"]


USERS = [None, "u"]
"""Whose calls they are."""


class RandomCalls:
    """Calls that fit, more or less, what is in the store."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._made = 0
        self._known: dict[str | None, dict[str, list[str]]] = {user: {} for user in USERS}

    def note(self, store: ConversationStore) -> None:
        """Look at what is there."""
        for user in USERS:
            self._known[user] = {head.id: ids_of(store.turns(user, head.id)) for head in store.conversations(user)}

    def next(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return a method's name and its arguments."""
        rng, user = self._rng, self._rng.choice(USERS)
        known = self._known[user]
        place = rng.choice([*known, *known, "none"])
        turns = known.get(place, [])
        some = rng.choice([*turns, *turns, "none"])
        kind = rng.choices(["create", "fork", "append", "update", "rate", "search", "forget"], [3, 3, 12, 2, 3, 3, 3])[
            0
        ]
        if kind == "create" or (kind == "fork" and not turns):
            return "create", (self._head(user), self._turns([])), {}
        if kind == "fork":
            return "create", (self._head(user, Fork(conversation_id=place, turn_id=some)), []), {}
        if kind == "append":
            return "append", (user, place, self._turns(turns)), {}
        if kind == "update":
            metadata = {"a": self._made} if rng.random() < 0.5 else None
            return "update", (user, place), {"tip": some, "metadata": metadata}
        if kind == "rate":
            feedback = Feedback(id=rng.choice("pq"), stars=rng.randint(1, 5), created_at=START)
            return "add_feedback", (user, place, some, feedback), {}
        if kind == "search":
            return "lexical_scope", (user, rng.choices("klmn", k=2)), {"conversation_id": rng.choice([None, place])}
        whole = rng.random()
        conversation = None if whole < 0.05 else place
        return "forget", (user,), {"conversation_id": conversation, "turn_id": some if whole > 0.35 else None}

    def _head(self, user: str | None, fork: Fork | None = None) -> ConversationHead:
        self._made += 1
        created = START + timedelta(seconds=self._rng.randint(0, 3))
        return ConversationHead(id=f"c{self._made % 9}", user_id=user, created_at=created, fork=fork)

    def _turns(self, known: list[str]) -> list[StoredTurn]:
        made: list[StoredTurn] = []
        for _ in range(self._rng.randint(0, 3)):
            self._made += 1
            names = [*known[-4:], *(each.interaction.id for each in made)]
            parent = self._rng.choice([*names, *names, None])
            name = f"t{self._made}" if self._rng.random() < 0.95 or not known else self._rng.choice(known)
            made.append(turn(name, parent, " ".join(self._rng.choices("klmn", k=self._rng.randint(1, 5)))))
        return made


def outcome_of(store: ConversationStore, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> object:
    """Call a method of a store, and return what it returns, or the error that it raises."""
    try:
        return getattr(store, name)(*arguments, **options)
    except RagtimeError as error:
        return type(error), str(error)


def contents_of(store: ConversationStore, user: str | None) -> object:
    """Return all that a store holds of a user."""
    heads = store.conversations(user)
    changes = [(place, each) for _, place, each in store.changes(user)]
    return heads, [list(store.turns(user, head.id)) for head in heads], changes, store.lexical_scope(user, "klmn")
