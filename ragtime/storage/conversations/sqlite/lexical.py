"""Full-text search: which turns hold a word's stem, and how many stems the turns of a user or a conversation have.

Nothing is indexed when a turn is stored. Whoever searches first brings the index up to the last turn of the user, some
thousands in one transaction, and notes how far it got.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ragtime.records.conversation import LexicalMatch, LexicalScope
from ragtime.storage.conversations.sqlite.connections import Connections
from ragtime.storage.conversations.sqlite.keys import Keys
from ragtime.storage.conversations.sqlite.writer import Work, Writer
from ragtime.utils.stems import stems_of

__all__ = ["count_scopes", "index_turns", "search", "unindex_turns"]

_AT_ONCE = 4000  # turns indexed in one transaction
_READ_AT_ONCE = 500
_FEW = 500  # turns whose postings are sought one by one; for more, all postings are read once
_TAIL = """SELECT t.number FROM conversations c JOIN turns t ON t.conversation = c.key
    WHERE c.user = ? AND t.number > ? ORDER BY t.number"""


class _Analysed(NamedTuple):
    """A turn's stems, counted."""

    turn: int
    stems: Counter[str]


def index_turns(connections: Connections, writer: Writer, keys: Keys, user: int) -> None:
    """Index the turns of a user that are not yet."""
    while True:
        with connections.borrow() as connection:
            connection.execute("BEGIN")
            done = _watermark(connection, user)
            newest = connection.execute("SELECT coalesce(max(number), 0) FROM turns").fetchone()[0]
            tail = array("q", (row[0] for row in connection.execute(_TAIL, (user, done)))) if newest > done else None
        if not tail:
            return
        for start in range(0, len(tail), _AT_ONCE):
            numbers = tail[start : start + _AT_ONCE]
            upto = newest if start + _AT_ONCE >= len(tail) else numbers[-1]
            analysed = _analyse(connections, numbers)
            if not writer.run(_indexing(keys, user, analysed, done, upto)):
                break  # another one was faster; see how far it got
            done = upto
        else:
            return


def _watermark(connection: sqlite3.Connection, user: int) -> int:
    row = connection.execute("SELECT number FROM watermarks WHERE user = ?", (user,)).fetchone()
    return row[0] if row else 0


def _analyse(connections: Connections, numbers: array[int]) -> list[_Analysed]:
    """Count the stems of turns outside of the transaction that stores them: this takes the most time."""
    analysed: list[_Analysed] = []
    for start in range(0, len(numbers), _READ_AT_ONCE):
        some = json.dumps(numbers[start : start + _READ_AT_ONCE].tolist())
        with connections.borrow() as connection:
            rows = connection.execute(
                "SELECT number, json_extract(body, '$.content') FROM turns "
                "WHERE number IN (SELECT value FROM json_each(?))",
                (some,),
            )
            analysed.extend(_Analysed(number, Counter(stems_of(content))) for number, content in rows)
    return analysed


def _indexing(keys: Keys, user: int, analysed: Sequence[_Analysed], done: int, upto: int) -> Work[bool]:
    """Return the work that stores counted stems, and tells whether it was its turn to."""
    words = {stem: keys.word(user, stem) for stem in {stem for turn in analysed for stem in turn.stems}}
    numbers = json.dumps([turn.turn for turn in analysed])

    def index(connection: sqlite3.Connection) -> bool:
        if _watermark(connection, user) != done:
            return False
        there = {
            row[0]: row[1:]
            for row in connection.execute(
                "SELECT t.number, t.conversation, t.id FROM turns t JOIN conversations c ON c.key = t.conversation "
                "WHERE c.user = ? AND t.number IN (SELECT value FROM json_each(?))",
                (user, numbers),
            )
        }
        first = connection.execute("SELECT coalesce(max(key), 0) + 1 FROM entries").fetchone()[0]
        kept = list(enumerate((turn for turn in analysed if turn.turn in there), start=first))
        connection.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)",
            [
                (key, turn.turn, user, there[turn.turn][0], turn.stems.total(), there[turn.turn][1])
                for key, turn in kept
            ],
        )
        connection.executemany(
            "INSERT INTO postings VALUES (?, ?, ?)",
            sorted((words[stem], key, count) for key, turn in kept for stem, count in turn.stems.items()),
        )
        count_scopes(connection, ((user, there[turn.turn][0], 1, turn.stems.total()) for _, turn in kept))
        connection.execute(
            "INSERT OR REPLACE INTO watermarks SELECT key, ? FROM users WHERE key = ?", (upto, user)
        )  # no row of a user who was forgotten meanwhile
        return True

    return index


def count_scopes(connection: sqlite3.Connection, changes: Iterable[tuple[int, int, int, int]]) -> None:
    """Add to the totals of conversations.

    Args:
        connection: A connection in a transaction.
        changes: User, conversation, and what is to be added to its turns and stems; less when negative.
    """
    totals: dict[tuple[int, int], list[int]] = {}
    for user, conversation, turns, stems in changes:
        total = totals.setdefault((user, conversation), [0, 0])
        total[0] += turns
        total[1] += stems
    connection.executemany(
        "INSERT INTO scopes VALUES (?, ?, ?, ?) ON CONFLICT (user, conversation) "
        "DO UPDATE SET turns = turns + excluded.turns, stems = stems + excluded.stems",
        [(*scope, *total) for scope, total in totals.items()],
    )


def search(
    connection: sqlite3.Connection, keys: Keys, user: int, stems: Sequence[str], conversation: int | None
) -> LexicalScope:
    """Find the turns that hold some stems; all that is read is of one moment.

    Args:
        connection: A connection outside a transaction.
        keys: Hashes of the file.
        user: The number of the user.
        stems: The stems.
        conversation: Only turns stored in this conversation; ``None`` means all.

    Returns:
        The matches and the totals of the scope.
    """
    scope = {"user": user, "conversation": conversation}
    words = {keys.word(user, stem): stem for stem in stems}
    connection.execute("BEGIN")
    turns, total = connection.execute(
        "SELECT coalesce(sum(turns), 0), coalesce(sum(stems), 0) FROM scopes "
        "WHERE user = :user AND (:conversation IS NULL OR conversation = :conversation)",
        scope,
    ).fetchone()
    found = connection.execute(
        "SELECT p.entry, p.word, p.frequency, e.conversation, e.id, e.stems FROM postings p "
        "JOIN entries e ON e.key = p.entry WHERE p.word IN (SELECT value FROM json_each(:words)) "
        "AND e.user = :user AND (:conversation IS NULL OR e.conversation = :conversation)",
        {**scope, "words": json.dumps(list(words))},
    ).fetchall()
    names: dict[int, str] = dict(
        connection.execute(
            "SELECT conversation, id FROM descriptions WHERE conversation IN (SELECT value FROM json_each(?))",
            (json.dumps(list({row[3] for row in found})),),
        )
    )
    connection.execute("COMMIT")
    frequencies: dict[int, dict[str, int]] = {}
    details: dict[int, tuple[int, str, int]] = {}
    for entry, word, frequency, *detail in found:
        if entry in frequencies:
            frequencies[entry][words[word]] = frequency
        else:
            frequencies[entry], details[entry] = {words[word]: frequency}, detail
    matches = []
    for entry in sorted(frequencies):  # a user's turns are indexed in the order in which they were stored
        place, name, length = details[entry]
        matches.append(
            LexicalMatch(conversation_id=names[place], turn_id=name, frequencies=frequencies[entry], length=length)
        )
    return LexicalScope(turns=turns, stems=total, matches=tuple(matches))


def unindex_turns(connection: sqlite3.Connection, keys: Keys, user: int, numbers: Sequence[int]) -> None:
    """Take turns out of the index, before they are deleted.

    Args:
        connection: A connection in a transaction.
        keys: Hashes of the file.
        user: The number of the user.
        numbers: The turns.
    """
    chosen = json.dumps(list(numbers))
    rows = connection.execute(
        "SELECT key, turn, conversation, stems FROM entries "
        "WHERE user = ? AND turn IN (SELECT value FROM json_each(?))",
        (user, chosen),
    ).fetchall()
    if len(rows) > _FEW or not all(_delete_postings(connection, keys, user, *row) for row in rows):
        entries = json.dumps([row[0] for row in rows])
        connection.execute("DELETE FROM postings WHERE entry IN (SELECT value FROM json_each(?))", (entries,))
    connection.executemany("DELETE FROM entries WHERE key = ?", [(row[0],) for row in rows])
    count_scopes(connection, ((user, conversation, -1, -stems) for _, _, conversation, stems in rows))


def _delete_postings(
    connection: sqlite3.Connection, keys: Keys, user: int, entry: int, turn: int, _conversation: int, stems: int
) -> bool:
    """Delete the postings of a turn by its words; tell whether these were the words it was indexed by."""
    query = "SELECT json_extract(body, '$.content') FROM turns WHERE number = ?"
    counted = Counter(stems_of(connection.execute(query, (turn,)).fetchone()[0]))
    cursor = connection.executemany(
        "DELETE FROM postings WHERE word = ? AND entry = ?", [(keys.word(user, stem), entry) for stem in counted]
    )
    return counted.total() == stems and max(cursor.rowcount, 0) == len(counted)
