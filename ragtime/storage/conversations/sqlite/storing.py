"""What is added to the file: conversations, turns, feedback. Each function runs within a transaction of the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from ragtime.records.conversation import ConversationHead, Feedback, StoredTurn
from ragtime.storage.conversations.arguments import (
    already_taken,
    already_there,
    check_turn,
    dump_metadata,
    dump_record,
    no_conversation,
    no_fork_origin,
    no_parent,
    no_tip,
    no_turn,
    same_turn,
)
from ragtime.storage.conversations.sqlite.errors import missing_row
from ragtime.storage.conversations.sqlite.keys import Keys, to_microseconds
from ragtime.storage.conversations.sqlite.places import Place, find_place, find_turn, find_user
from ragtime.storage.conversations.sqlite.reading import turns_of_numbers
from ragtime.storage.conversations.sqlite.writer import Statement

__all__ = [
    "NewTurn",
    "add_conversation",
    "add_opinion",
    "append_statement",
    "append_turns",
    "change_conversation",
    "prepare_turns",
]

_PLACE_AND_PARENT = """SELECT c.key, c.user, c.fork_conversation, c.fork_turn, p.number FROM conversations c
    LEFT JOIN turns p ON p.conversation = c.key AND p.hash = ? WHERE c.hash = ?"""


_APPEND = """INSERT OR IGNORE INTO turns (conversation, parent, hash, id, body) VALUES (
    (SELECT key FROM conversations WHERE hash = ?1 AND fork_turn IS NULL
        AND (?2 IS NULL OR EXISTS (SELECT 1 FROM turns p WHERE p.conversation = key AND p.hash = ?2))),
    (SELECT p.number FROM turns p
        WHERE p.conversation = (SELECT key FROM conversations WHERE hash = ?1) AND p.hash = ?2),
    ?3, ?4, ?5)"""  # without a conversation or a parent the first is NULL, which the table refuses


class NewTurn(NamedTuple):
    """A turn made ready before the transaction.

    Attributes:
        turn: The turn.
        hash: The hash of its id.
        parent_hash: The hash of its parent's id; ``None`` for a first turn.
        body: What is stored.
    """

    turn: StoredTurn
    hash: bytes
    parent_hash: bytes | None
    body: str


def prepare_turns(keys: Keys, turns: Sequence[StoredTurn]) -> list[NewTurn]:
    """Make turns ready to be stored; raise where one cannot be."""
    return [
        NewTurn(
            turn,
            keys.item(turn.interaction.id),
            None if turn.parent_id is None else keys.item(turn.parent_id),
            check_turn(turn),
        )
        for turn in turns
    ]


def add_conversation(
    connection: sqlite3.Connection, keys: Keys, head: ConversationHead, turns: Sequence[NewTurn]
) -> None:
    """Store a new conversation with its turns."""
    conversation_hash = keys.conversation(head.user_id, head.id)
    if find_place(connection, conversation_hash) is not None:
        raise already_there()
    fork_conversation, fork_turn = _fork_of(connection, keys, head)
    user_hash = keys.user(head.user_id)
    user = find_user(connection, user_hash)
    if user is None:
        cursor = connection.execute("INSERT INTO users (hash, name) VALUES (?, ?)", (user_hash, head.user_id))
        user = _key(cursor)
    cursor = connection.execute(
        "INSERT INTO conversations (user, hash, created, fork_conversation, fork_turn, tip_turn, tip_after) "
        "VALUES (?, ?, ?, ?, ?, NULL, 0)",
        (user, conversation_hash, to_microseconds(head.created_at), fork_conversation, fork_turn),
    )
    place = Place(_key(cursor), user, fork_conversation, fork_turn)
    _describe(connection, place, head.id, dump_metadata(head.metadata))
    _add_turns(connection, keys, place, turns, {}, may_repeat=False)
    if head.tip is not None:
        _choose_tip(connection, place, keys.item(head.tip))


def append_turns(
    connection: sqlite3.Connection, keys: Keys, conversation_hash: bytes, turns: Sequence[NewTurn]
) -> None:
    """Add turns to a conversation, passing over those that are there."""
    parent_hash = turns[0].parent_hash if turns else None
    row = connection.execute(_PLACE_AND_PARENT, (parent_hash, conversation_hash)).fetchone()
    if row is None:
        raise no_conversation()
    *place, parent = row
    known = {} if parent is None or parent_hash is None else {parent_hash: parent}
    _add_turns(connection, keys, Place(*place), turns, known, may_repeat=True)


def append_statement(conversation_hash: bytes, turns: Sequence[NewTurn]) -> Statement | None:
    """Return the one statement that appends one plain turn to a conversation that is no fork; ``None`` for others.

    It writes nothing where ``append_turns`` would raise or pass over the turn.
    """
    if len(turns) != 1 or turns[0].turn.interaction.feedback:
        return None
    (new,) = turns
    return _APPEND, (conversation_hash, new.parent_hash, new.hash, new.turn.interaction.id, new.body)


def change_conversation(
    connection: sqlite3.Connection,
    conversation_hash: bytes,
    *,
    tip_hash: bytes | None,
    metadata: str | None,
) -> None:
    """Change the tip of a conversation, its metadata, or both."""
    place = find_place(connection, conversation_hash)
    if place is None:
        raise no_conversation()
    if tip_hash is not None:
        _choose_tip(connection, place, tip_hash)
    if metadata is not None:
        query = "SELECT id FROM descriptions WHERE conversation = ?"
        row = connection.execute(query, (place.key,)).fetchone()
        if row is None:
            raise missing_row()
        connection.execute("DELETE FROM descriptions WHERE conversation = ?", (place.key,))
        _describe(connection, place, row[0], metadata)


def add_opinion(
    connection: sqlite3.Connection, keys: Keys, conversation_hash: bytes, turn_hash: bytes, feedback: Feedback
) -> None:
    """Add feedback to a turn, in the place of one with the same id."""
    place = find_place(connection, conversation_hash)
    if place is None:
        raise no_conversation()
    turn = find_turn(connection, place, turn_hash)
    if turn is None:
        raise no_turn()
    connection.execute("DELETE FROM feedback WHERE turn = ? AND hash = ?", (turn, keys.item(feedback.id)))
    _insert_feedback(connection, keys, turn, feedback)


def _add_turns(
    connection: sqlite3.Connection,
    keys: Keys,
    place: Place,
    turns: Sequence[NewTurn],
    known: dict[bytes, int],
    *,
    may_repeat: bool,
) -> None:
    for position, new in enumerate(turns):
        parent = None if new.parent_hash is None else known.get(new.parent_hash)
        if parent is None and new.parent_hash is not None:
            parent = find_turn(connection, place, new.parent_hash)
            if parent is None:
                raise no_parent(position)
        # A fork's turns must differ from those it shares, too, which the unique index does not know of.
        number = find_turn(connection, place, new.hash) if place.fork_turn is not None else None
        if number is None and (number := _insert(connection, place, new, parent)) is not None:
            for feedback in new.turn.interaction.feedback:
                _insert_feedback(connection, keys, number, feedback)
        else:
            number = find_turn(connection, place, new.hash) if number is None else number
            if number is None or not may_repeat or not _is_same(connection, number, new):
                raise already_taken(position)
        known[new.hash] = number


def _insert(connection: sqlite3.Connection, place: Place, new: NewTurn, parent: int | None) -> int | None:
    cursor = connection.execute(
        "INSERT INTO turns (conversation, parent, hash, id, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (place.key, parent, new.hash, new.turn.interaction.id, new.body),
    )
    return cursor.lastrowid if cursor.rowcount else None


def _is_same(connection: sqlite3.Connection, number: int, new: NewTurn) -> bool:
    stored = turns_of_numbers(connection, [number])
    return bool(stored) and same_turn(stored[0].turn, new.turn)


def _insert_feedback(connection: sqlite3.Connection, keys: Keys, turn: int, feedback: Feedback) -> None:
    connection.execute(
        "INSERT INTO feedback (turn, hash, body) VALUES (?, ?, ?)",
        (turn, keys.item(feedback.id), dump_record(feedback)),
    )


def _choose_tip(connection: sqlite3.Connection, place: Place, tip_hash: bytes) -> None:
    tip = find_turn(connection, place, tip_hash)
    if tip is None:
        raise no_tip()
    connection.execute(
        "UPDATE conversations SET tip_turn = :tip, "
        "tip_after = (SELECT coalesce(max(number), 0) FROM turns WHERE conversation = :key) WHERE key = :key",
        {"tip": tip, "key": place.key},
    )


def _fork_of(connection: sqlite3.Connection, keys: Keys, head: ConversationHead) -> tuple[int | None, int | None]:
    if head.fork is None:
        return None, None
    origin = find_place(connection, keys.conversation(head.user_id, head.fork.conversation_id))
    turn = None if origin is None else find_turn(connection, origin, keys.item(head.fork.turn_id))
    if origin is None or turn is None:
        raise no_fork_origin()
    return origin.key, turn


def _describe(connection: sqlite3.Connection, place: Place, name: str, metadata: str) -> None:
    connection.execute(
        "INSERT INTO descriptions (conversation, id, metadata) VALUES (?, ?, ?)",
        (place.key, name, metadata),
    )


def _key(cursor: sqlite3.Cursor) -> int:
    if cursor.lastrowid is None:
        raise AssertionError("an INSERT gives a row")
    return cursor.lastrowid
