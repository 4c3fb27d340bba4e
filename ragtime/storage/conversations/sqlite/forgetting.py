"""What is removed from the file: rows, and every trace of their text."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from ragtime.records.conversation import StoredTurn
from ragtime.storage.conversations.arguments import no_conversation, no_turn
from ragtime.storage.conversations.sqlite.errors import missing_row
from ragtime.storage.conversations.sqlite.keys import Keys
from ragtime.storage.conversations.sqlite.lexical import count_scopes, unindex_turns
from ragtime.storage.conversations.sqlite.places import TIP, Place, find_place, find_turn, find_user
from ragtime.storage.conversations.sqlite.reading import turns_of_numbers

__all__ = ["forget_conversation", "forget_turn", "forget_user"]

Removed = list[tuple[str, StoredTurn]]
_CHOSEN = "(SELECT value FROM json_each(?))"
_OWN = "SELECT number FROM turns WHERE conversation = ? ORDER BY number"


def forget_turn(connection: sqlite3.Connection, keys: Keys, conversation_hash: bytes, turn_hash: bytes) -> Removed:
    """Delete a turn that a conversation has or shares, from all that share it."""
    place = find_place(connection, conversation_hash)
    if place is None:
        raise no_conversation()
    number = find_turn(connection, place, turn_hash)
    if number is None:
        raise no_turn()
    row = connection.execute("SELECT parent, conversation FROM turns WHERE number = ?", (number,)).fetchone()
    if row is None:
        raise missing_row()
    parent, owner = row
    floor = _newest(connection)
    places = {"turn": number, "parent": parent, "owner": owner, "user": place.user}
    # The tip moves to the turn before it: of the conversation whose last turn it is, and of those that chose it.
    connection.execute(
        f"""UPDATE conversations AS c SET tip_turn = :parent, tip_after = max(tip_after, :turn)
            WHERE key = :owner
            AND :turn = (
                SELECT {TIP} FROM (SELECT max(number) AS last FROM turns WHERE conversation = :owner)
            )""",  # noqa: S608
        places,
    )
    connection.execute("UPDATE conversations SET tip_turn = :parent WHERE user = :user AND tip_turn = :turn", places)
    connection.execute(
        "UPDATE conversations SET fork_turn = :parent, "
        "fork_conversation = CASE WHEN :parent IS NOT NULL THEN fork_conversation END "
        "WHERE user = :user AND fork_turn = :turn",
        places,
    )
    removed = _delete_turns(connection, keys, place.user, [number])
    connection.execute(
        "UPDATE turns SET parent = :parent WHERE parent = :turn "
        "AND conversation IN (SELECT key FROM conversations WHERE user = :user)",
        places,
    )
    _keep_numbers(connection, floor)
    return removed


def forget_conversation(connection: sqlite3.Connection, keys: Keys, conversation_hash: bytes) -> Removed:
    """Delete a conversation and its turns, but those that its forks share, which become theirs."""
    place = find_place(connection, conversation_hash)
    if place is None:
        raise no_conversation()
    floor = _newest(connection)
    owners = _bequeath(connection, place)
    doomed = [row[0] for row in connection.execute(_OWN, (place.key,))]
    removed = _delete_turns(connection, keys, place.user, doomed)
    _delete_conversation(connection, place)
    _announce(connection, owners)
    _keep_numbers(connection, floor)
    return removed


def forget_user(connection: sqlite3.Connection, keys: Keys, user_hash: bytes) -> Removed:
    """Delete all conversations of a user."""
    user = find_user(connection, user_hash)
    if user is None:
        return []
    floor = _newest(connection)
    doomed = connection.execute(
        "SELECT t.number FROM conversations c JOIN turns t ON t.conversation = c.key WHERE c.user = ? ORDER BY 1",
        (user,),
    ).fetchall()
    removed = _delete_turns(connection, keys, user, [row[0] for row in doomed])
    conversations = connection.execute("SELECT key FROM conversations WHERE user = ?", (user,)).fetchall()
    for (key,) in conversations:
        _delete_conversation(connection, Place(key, user, None, None))
    _keep_numbers(connection, floor)
    return removed


def _bequeath(connection: sqlite3.Connection, place: Place) -> dict[int, int]:
    """Give each fork of a conversation the turns that it shares, if no earlier fork has got them; tell who got which.

    A later fork that shares them, too, becomes a fork of the one that got them.
    """
    parents: dict[int, int | None] = dict(
        connection.execute("SELECT number, parent FROM turns WHERE conversation = ?", (place.key,))
    )
    owners: dict[int, int] = {}
    forks = connection.execute(
        f"""SELECT key, fork_turn, {TIP} FROM (
            SELECT *, (SELECT max(number) FROM turns WHERE conversation = conversations.key) AS last
            FROM conversations WHERE fork_conversation = ?
        ) c ORDER BY key""",  # noqa: S608
        (place.key,),
    ).fetchall()
    for fork, fork_turn, tip in forks:
        turn, inherited = fork_turn, []
        while turn in parents and turn not in owners:
            inherited.append(turn)
            turn = parents[turn]
        owners.update(dict.fromkeys(inherited, fork))
        origin = owners.get(turn, place.fork_conversation) if turn is not None else None
        _move_turns(connection, place, fork, inherited)
        connection.execute(
            "UPDATE conversations SET fork_conversation = ?, fork_turn = ?, tip_turn = ?, "
            "tip_after = (SELECT coalesce(max(number), 0) FROM turns WHERE conversation = ?) WHERE key = ?",
            (origin, turn, tip, fork, fork),
        )
    return owners


def _move_turns(connection: sqlite3.Connection, place: Place, fork: int, numbers: Sequence[int]) -> None:
    chosen = json.dumps(list(numbers))
    moved = connection.execute(
        f"SELECT stems FROM entries WHERE user = ? AND turn IN {_CHOSEN}",  # noqa: S608
        (place.user, chosen),
    ).fetchall()
    stems = sum(row[0] for row in moved)
    count_scopes(connection, [(place.user, place.key, -len(moved), -stems), (place.user, fork, len(moved), stems)])
    for table, column in (("entries", "turn"), ("turns", "number")):
        connection.execute(
            f"UPDATE {table} SET conversation = ? WHERE conversation = ? AND {column} IN {_CHOSEN}",  # noqa: S608
            (fork, place.key, chosen),
        )


def _announce(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Give turns that came to another conversation a number among the changes."""
    for number in sorted(numbers):
        connection.execute("DELETE FROM turns WHERE conversation = 0 AND parent = ?", (number,))
        connection.execute(
            "INSERT INTO turns (conversation, parent, hash, id, body) VALUES (0, ?, ?, '', '')",
            (number, number.to_bytes(8, "big")),
        )


def _delete_turns(connection: sqlite3.Connection, keys: Keys, user: int, numbers: Sequence[int]) -> Removed:
    removed: Removed = []
    start = 0
    while start < len(numbers):
        page = turns_of_numbers(connection, numbers[start : start + 500])
        if not page or [read.number for read in page] != list(numbers[start : start + len(page)]):
            raise missing_row()
        removed.extend((read.conversation_id, read.turn) for read in page)
        start += len(page)
    unindex_turns(connection, keys, user, numbers)
    chosen = json.dumps(list(numbers))
    connection.execute(f"DELETE FROM feedback WHERE turn IN {_CHOSEN}", (chosen,))  # noqa: S608
    connection.execute(f"DELETE FROM turns WHERE conversation = 0 AND parent IN {_CHOSEN}", (chosen,))  # noqa: S608
    connection.execute(f"DELETE FROM turns WHERE number IN {_CHOSEN}", (chosen,))  # noqa: S608
    return removed


def _delete_conversation(connection: sqlite3.Connection, place: Place) -> None:
    connection.execute("DELETE FROM descriptions WHERE conversation = ?", (place.key,))
    connection.execute("DELETE FROM scopes WHERE user = ? AND conversation = ?", (place.user, place.key))
    connection.execute("DELETE FROM conversations WHERE user = ? AND key = ?", (place.user, place.key))
    left = connection.execute("SELECT 1 FROM conversations WHERE user = ? LIMIT 1", (place.user,)).fetchone()
    if left is None:
        connection.execute("DELETE FROM users WHERE key = ?", (place.user,))
        connection.execute("DELETE FROM watermarks WHERE user = ?", (place.user,))


def _newest(connection: sqlite3.Connection) -> int:
    newest: int = connection.execute("SELECT coalesce(max(number), 0) FROM turns").fetchone()[0]
    return newest


def _keep_numbers(connection: sqlite3.Connection, floor: int) -> None:
    """See to it that no number up to `floor` is given out again, and note that the files must be cleaned."""
    connection.execute("DELETE FROM turns WHERE conversation = 0 AND parent IS NULL AND number < ?", (floor,))
    if floor > _newest(connection):
        connection.execute("INSERT INTO turns VALUES (?, 0, NULL, x'', '', '')", (floor,))
    connection.execute("UPDATE meta SET value = random() | 1 WHERE name = 'erasing'")  # another value each time, not 0
