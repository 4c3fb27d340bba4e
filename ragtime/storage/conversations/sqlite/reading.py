"""Reading of the file, in pages: no transaction stays open while a caller looks at what was read."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ragtime.errors import StorageError
from ragtime.records.conversation import ConversationHead, Feedback, Fork, Interaction, StoredTurn
from ragtime.storage.conversations.arguments import has_metadata
from ragtime.storage.conversations.sqlite.connections import Connections
from ragtime.storage.conversations.sqlite.errors import missing_row
from ragtime.storage.conversations.sqlite.keys import from_microseconds, to_microseconds
from ragtime.storage.conversations.sqlite.places import TIP

__all__ = ["NumberedTurn", "list_heads", "own_turns", "read_changes", "read_head", "read_turns", "turns_of_numbers"]

_PAGE = 500  # turns
_PAGE_CHARACTERS = 4_000_000
_TURN = """SELECT t.number, d.id, p.id, t.body FROM turns t
    LEFT JOIN descriptions d ON d.conversation = t.conversation LEFT JOIN turns p ON p.number = t.parent"""
_HEADS = f"""SELECT d.id, c.created, d.metadata, f.id, t.id, (SELECT id FROM turns WHERE number = {TIP})
    FROM (SELECT *, (SELECT max(number) FROM turns WHERE conversation = conversations.key) AS last FROM conversations) c
    JOIN descriptions d ON d.conversation = c.key
    LEFT JOIN descriptions f ON f.conversation = c.fork_conversation
    LEFT JOIN turns t ON t.number = c.fork_turn"""  # noqa: S608 - constants of ours
_HEAD = f"{_HEADS} WHERE c.key = ?"
_LIST = f"""{_HEADS} WHERE c.user = :user AND (:since IS NULL OR c.created >= :since)
    AND (:until IS NULL OR c.created < :until)
    AND (:after_id IS NULL OR c.created < :after OR (c.created = :after AND d.id > :after_id))
    ORDER BY c.created DESC, d.id"""
_CHANGES = """SELECT t.number, t.number FROM conversations c JOIN turns t ON t.conversation = c.key
    WHERE c.user = :user AND t.number > :after
    UNION ALL
    SELECT e.number, t.number FROM turns e JOIN turns t ON t.number = e.parent
    JOIN conversations c ON c.key = t.conversation
    WHERE e.conversation = 0 AND e.number > :after AND c.user = :user
    ORDER BY 1"""


class NumberedTurn(NamedTuple):
    """A turn as it was read.

    Attributes:
        number: Its number.
        conversation_id: The conversation in which it is stored.
        turn: The turn.
    """

    number: int
    conversation_id: str
    turn: StoredTurn


def read_head(connection: sqlite3.Connection, conversation: int, user_id: str | None) -> ConversationHead:
    """Return what is known of the conversation of a number."""
    row = connection.execute(_HEAD, (conversation,)).fetchone()
    if row is None:
        raise missing_row()
    return _head(row, user_id)


def list_heads(
    connection: sqlite3.Connection,
    user: int,
    user_id: str | None,
    *,
    where: Mapping[str, object] | None,
    bounds: tuple[datetime | None, datetime | None],
    after: tuple[int, str] | None,
    limit: int | None,
) -> list[ConversationHead]:
    """List the conversations of a user, the newest first, then by id.

    Args:
        connection: A connection.
        user: The number of the user.
        user_id: The user.
        where: Values that the metadata must have; ``None`` for any.
        bounds: The earliest time, and the one that the list ends before; ``None`` for none.
        after: Time and id of the conversation after which the list begins; ``None`` for the first.
        limit: Most to list; ``None`` for all.

    Returns:
        What is known of each.
    """
    since, until = (to_microseconds(time) if time is not None else None for time in bounds)
    found: list[ConversationHead] = []
    if limit == 0:
        return found
    created, last_id = after or (None, None)
    rows = connection.execute(
        _LIST, {"user": user, "since": since, "until": until, "after": created, "after_id": last_id}
    )
    for row in rows:
        if where and not has_metadata(json.loads(row[2]), where):
            continue
        found.append(_head(row, user_id))
        if len(found) == limit:
            break
    rows.close()
    return found


def _head(row: Sequence[Any], user_id: str | None) -> ConversationHead:
    fork = Fork(conversation_id=row[3], turn_id=row[4]) if row[3] is not None else None
    return ConversationHead(
        id=row[0],
        user_id=user_id,
        created_at=from_microseconds(row[1]),
        metadata=json.loads(row[2]),
        fork=fork,
        tip=row[5],
    )


def own_turns(connections: Connections, conversation: int, *, after: int) -> Iterator[NumberedTurn]:
    """Read the turns stored in a conversation after a number, in the order in which they were stored."""
    last = after
    while True:
        with connections.borrow() as connection:
            page = _page(
                connection,
                f"{_TURN} WHERE t.conversation = ? AND t.number > ? ORDER BY t.number LIMIT {_PAGE}",
                (conversation, last),
            )
        if not page:
            return
        yield from page
        last = page[-1].number


def read_turns(connections: Connections, numbers: array[int]) -> Iterator[NumberedTurn]:
    """Read the turns of ascending numbers; those that are forgotten meanwhile are left out."""
    start = 0
    while start < len(numbers):
        some = numbers[start : start + _PAGE]
        with connections.borrow() as connection:
            page = turns_of_numbers(connection, some)
        yield from page
        # A page of long turns ends early.
        start += len(some) if not page else some.index(page[-1].number) + 1


def turns_of_numbers(connection: sqlite3.Connection, numbers: Sequence[int]) -> list[NumberedTurn]:
    """Read the turns of some ascending numbers, as many as make one page, at least one that is there."""
    query = f"{_TURN} WHERE t.number IN (SELECT value FROM json_each(?)) ORDER BY t.number"  # noqa: S608
    return _page(connection, query, (json.dumps(list(numbers)),))


def read_changes(connections: Connections, user: int, after: int) -> Iterator[tuple[int, str, StoredTurn]]:
    """Read the turns of a user that were stored, or came to another conversation, after a number was given out."""
    with connections.borrow() as connection:
        rows = connection.execute(_CHANGES, {"user": user, "after": after})
        changes, numbers = array("q"), array("q")
        for change, number in rows:
            changes.append(change)
            numbers.append(number)
    # An echo may name an earlier turn than the change before it, so runs of ascending numbers are read together.
    start = 0
    while start < len(changes):
        stop = start + 1
        while stop < min(start + _PAGE, len(changes)) and numbers[stop] > numbers[stop - 1]:
            stop += 1
        by_number = dict(zip(numbers[start:stop], changes[start:stop], strict=True))
        for read in read_turns(connections, numbers[start:stop]):
            yield by_number[read.number], read.conversation_id, read.turn
        start = stop


def _page(connection: sqlite3.Connection, query: str, parameters: Sequence[Any]) -> list[NumberedTurn]:
    rows: list[tuple[int, str, str | None, str]] = []
    characters = 0
    cursor = connection.execute(query, parameters)
    for row in cursor:
        rows.append(row)
        characters += len(row[3])
        if characters > _PAGE_CHARACTERS:
            break
    cursor.close()
    numbers = json.dumps([row[0] for row in rows])
    feedback: dict[int, list[str]] = {}
    for turn, body in connection.execute(
        "SELECT turn, body FROM feedback WHERE turn IN (SELECT value FROM json_each(?)) ORDER BY key", (numbers,)
    ):
        feedback.setdefault(turn, []).append(body)
    return [NumberedTurn(row[0], row[1], _stored_turn(row, feedback.get(row[0], ()))) for row in rows]


def _stored_turn(row: tuple[int, str, str | None, str], feedback: Sequence[str]) -> StoredTurn:
    try:
        interaction = Interaction.model_validate_json(row[3])
        if feedback:
            opinions = tuple(Feedback.model_validate_json(body) for body in feedback)
            interaction = interaction.model_copy(update={"feedback": opinions})
        return StoredTurn(interaction=interaction, parent_id=row[2])
    except ValueError:
        pass  # its error would quote the turn
    raise StorageError(f"Turn number {row[0]} of the file is damaged; restore the file from a backup")
