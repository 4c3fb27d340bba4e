"""Where things are in the file: conversations, turns that one sees in them, and paths to a turn."""

from __future__ import annotations

import sqlite3
from array import array
from typing import NamedTuple

__all__ = ["TIP", "Place", "find_place", "find_turn", "find_user", "path_to"]

TIP = """COALESCE(CASE WHEN last > c.tip_after THEN last END, c.tip_turn, last, c.fork_turn)"""
"""The number of the active tip of conversation ``c``, whose last own turn is ``last``.

No row is changed when a turn is appended: the tip is the last turn stored, unless one was chosen after that.
"""
_PATH = """WITH RECURSIVE path (number, parent) AS (
    SELECT number, parent FROM turns WHERE number = :tip
    UNION ALL
    SELECT t.number, t.parent FROM path JOIN turns t ON t.number = path.parent
    WHERE path.parent >= :least AND path.parent < path.number
) SELECT number FROM path ORDER BY number"""


class Place(NamedTuple):
    """A conversation in the file.

    Attributes:
        key: Its number.
        user: The number of its user.
        fork_conversation: The conversation it was forked from; ``None`` when it was not.
        fork_turn: The last turn it shares with that one.
    """

    key: int
    user: int
    fork_conversation: int | None
    fork_turn: int | None


def find_user(connection: sqlite3.Connection, user_hash: bytes) -> int | None:
    """Return the number of a user who has conversations; ``None`` for another one."""
    row = connection.execute("SELECT key FROM users WHERE hash = ?", (user_hash,)).fetchone()
    return row[0] if row else None


def find_place(connection: sqlite3.Connection, conversation_hash: bytes) -> Place | None:
    """Return where a user's conversation is; ``None`` when there is none. The user is part of the hash."""
    row = connection.execute(
        "SELECT key, user, fork_conversation, fork_turn FROM conversations WHERE hash = ?", (conversation_hash,)
    ).fetchone()
    return Place(*row) if row else None


def find_turn(connection: sqlite3.Connection, place: Place, turn_hash: bytes) -> int | None:
    """Return the number of a turn that a conversation has or shares; ``None`` when there is none."""
    number = _own_turn(connection, place.key, turn_hash)
    origin = place.fork_conversation
    while number is None and origin is not None:
        candidate = _own_turn(connection, origin, turn_hash)
        if candidate is not None and place.fork_turn is not None and _leads_to(connection, candidate, place.fork_turn):
            number = candidate
        row = connection.execute("SELECT fork_conversation FROM conversations WHERE key = ?", (origin,)).fetchone()
        origin = row[0] if row else None
    return number


def path_to(connection: sqlite3.Connection, turn: int, *, least: int = 0) -> array[int]:
    """Return the numbers of a turn and those before it, the first turn first, leaving out those below `least`."""
    return array("q", (row[0] for row in connection.execute(_PATH, {"tip": turn, "least": least})))


def _own_turn(connection: sqlite3.Connection, conversation: int, turn_hash: bytes) -> int | None:
    row = connection.execute(
        "SELECT number FROM turns WHERE conversation = ? AND hash = ?", (conversation, turn_hash)
    ).fetchone()
    return row[0] if row else None


def _leads_to(connection: sqlite3.Connection, ancestor: int, turn: int) -> bool:
    # Numbers grow along a path, so what is below the ancestor's needs no look.
    return ancestor == turn or (ancestor < turn and path_to(connection, turn, least=ancestor)[0] == ancestor)
