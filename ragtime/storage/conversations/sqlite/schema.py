"""Tables of the file, and how those of earlier versions become those of today.

Texts rest in tables whose rows are only added at the end and deleted, never changed; all else is numbers and hashes.
SQLite overwrites what is deleted, but rows that it moves between pages may leave copies behind, and this way it hardly
ever moves one that holds a text. See the module on erasure.

Numbers of turns grow and are never given out twice, although no row is written to see to that: a row of conversation 0
without a parent keeps the highest number once its turn is forgotten, and one with a parent says that the turn of that
number has become one of another conversation.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ragtime.errors import StorageError

__all__ = ["APPLICATION_ID", "MIGRATIONS", "check_header", "migrate"]

APPLICATION_ID = 0x52544356
_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"
_VERSION_1 = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('salt', randomblob(16)), ('erasing', 0)",
    "CREATE TABLE users (key INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, name TEXT)",
    """CREATE TABLE conversations (
        key INTEGER PRIMARY KEY AUTOINCREMENT, user INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE,
        created INTEGER NOT NULL, fork_conversation INTEGER, fork_turn INTEGER,
        tip_turn INTEGER, tip_after INTEGER NOT NULL
    )""",
    "CREATE INDEX conversations_by_user ON conversations (user, created)",
    "CREATE INDEX conversations_by_origin ON conversations (fork_conversation) WHERE fork_conversation IS NOT NULL",
    """CREATE TABLE descriptions (
        key INTEGER PRIMARY KEY, conversation INTEGER NOT NULL UNIQUE, id TEXT NOT NULL, metadata TEXT NOT NULL
    )""",
    """CREATE TABLE turns (
        number INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, parent INTEGER, hash BLOB NOT NULL,
        id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (conversation, hash)
    )""",
    "CREATE INDEX turns_by_conversation ON turns (conversation)",
    """CREATE TABLE feedback (
        key INTEGER PRIMARY KEY, turn INTEGER NOT NULL, hash BLOB NOT NULL, body TEXT NOT NULL, UNIQUE (turn, hash)
    )""",
    """CREATE TABLE entries (
        key INTEGER PRIMARY KEY, turn INTEGER NOT NULL UNIQUE, user INTEGER NOT NULL, conversation INTEGER NOT NULL,
        stems INTEGER NOT NULL, id TEXT NOT NULL
    )""",
    """CREATE TABLE postings (
        word INTEGER, entry INTEGER, frequency INTEGER NOT NULL, PRIMARY KEY (word, entry)
    ) WITHOUT ROWID""",
    """CREATE TABLE scopes (
        user INTEGER, conversation INTEGER, turns INTEGER NOT NULL, stems INTEGER NOT NULL,
        PRIMARY KEY (user, conversation)
    ) WITHOUT ROWID""",
    "CREATE TABLE watermarks (user INTEGER PRIMARY KEY, number INTEGER NOT NULL)",
)
MIGRATIONS: Sequence[Sequence[str]] = (_VERSION_1,)
"""The statements that lead from each version to the next; the first makes a new file."""


def check_header(path: Path) -> None:
    """Refuse a file that is none of ours before SQLite touches it.

    Args:
        path: The file; one that is not there or empty is to become ours.

    Raises:
        StorageError: It belongs to another program, to a newer ragtime, or is a folder.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"The conversations in {str(path)!r} cannot be opened: {error.strerror}") from error
    if not header:
        return
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise StorageError(f"{str(path)!r} is no file of conversations, or damaged; check the path, or restore it")
    application, version = int.from_bytes(header[68:72], "big"), int.from_bytes(header[60:64], "big")
    # A journal beside a file without a name: its making was interrupted, and SQLite will undo it.
    if application != APPLICATION_ID and (application or not os.path.exists(f"{path}-journal")):  # noqa: PTH110
        raise _foreign(path)
    _check_version(path, version)


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> None:
    """Bring the tables of a file to the version of today; several processes may try at once.

    Args:
        connection: A connection outside a transaction.
        path: The file, for messages.
        migrations: The statements that lead from each version to the next.

    Raises:
        StorageError: The file is of another program or of a newer ragtime.
    """
    if _state(connection) == (APPLICATION_ID, len(migrations)):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        application, version = _state(connection)
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != APPLICATION_ID and (application or version or tables):
            raise _foreign(path)
        _check_version(path, version, len(migrations))
        for statements in migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _state(connection: sqlite3.Connection) -> tuple[int, int]:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    return application, connection.execute("PRAGMA user_version").fetchone()[0]


def _check_version(path: Path, version: int, latest: int = len(MIGRATIONS)) -> None:
    if version > latest:
        raise StorageError(
            f"{str(path)!r} was written by a newer ragtime (version {version} of the file; this one knows {latest}); "
            "install that one"
        )


def _foreign(path: Path) -> StorageError:
    return StorageError(f"{str(path)!r} is a database of another program; give the conversations a file of their own")
