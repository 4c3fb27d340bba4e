"""Leaves nothing of deleted rows in the files of a database.

Three things are left of a deleted row. Its place on the page: ``secure_delete`` overwrites it. Earlier pages in the
write-ahead log: a checkpoint that truncates the log removes them, once nobody reads from it. And copies in the unused
space of pages between which SQLite has moved the row: these are looked for, and where unused space holds text the
file is written anew, which takes time in proportion to its size; tables whose rows are only added at the end hardly
ever come to that.

Pages of indexes are not looked at: they hold numbers and hashes made with a random key of the file, and no text.
"""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path

from ragtime.errors import StorageError
from ragtime.storage.conversations.sqlite.connections import Connections
from ragtime.storage.conversations.sqlite.descriptors import reader_of
from ragtime.storage.conversations.sqlite.errors import missing_row

__all__ = ["erase_deleted", "has_leftovers"]

_ATTEMPT_MILLISECONDS = 100
_RETRY_SECONDS = 0.01
_TABLE_LEAF = 0x0D
_PAGES_AT_ONCE = 256
_TEXT = re.compile(rb"[\x20-\xff]{4}")  # what else may stand there, old pointers to rows, begins with smaller bytes
_HEADER = 8  # bytes before the pointers to the rows of such a page


def erase_deleted(connections: Connections, *, wait_seconds: float) -> None:
    """Remove what is left of deleted rows, where rows were deleted since the last time.

    Args:
        connections: Those of the file.
        wait_seconds: How long to wait for others to finish reading.

    Raises:
        StorageError: Another process reads the file for longer, so that this must be finished later.
    """
    with connections.borrow() as connection:
        row = connection.execute("SELECT value FROM meta WHERE name = 'erasing'").fetchone()
        if row is None:
            raise missing_row()
        (asked,) = row
        if not asked:
            return
        _truncate_log(connections, connection, wait_seconds)
        if has_leftovers(connections.path):
            connection.execute("VACUUM")
            _truncate_log(connections, connection, wait_seconds)
        # Not where others have deleted rows since: what is left of those may have come after the look.
        connection.execute("UPDATE meta SET value = 0 WHERE name = 'erasing' AND value = ?", (asked,))


def _truncate_log(connections: Connections, connection: sqlite3.Connection, wait_seconds: float) -> None:
    # SQLite waits for readers here, but not for others who happen to move the log into the file at the moment.
    deadline = connections.clock() + wait_seconds
    connection.execute(f"PRAGMA busy_timeout = {_ATTEMPT_MILLISECONDS}")
    try:
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if connections.clock() >= deadline:
                raise StorageError(
                    f"The turns are deleted from {str(connections.path)!r} and nobody finds them any more, but bytes "
                    "of them rest in its files until another process has finished reading; then call forget() again, "
                    "or open the store again"
                )
            time.sleep(_RETRY_SECONDS)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {round(connections.busy_seconds * 1000)}")


def has_leftovers(path: Path) -> bool:
    """Tell whether the unused space of a page that holds rows of tables holds text.

    Args:
        path: A database whose write-ahead log is empty, to which this process has a connection.

    Returns:
        Whether four bytes of text or more stand there.
    """
    file = reader_of(path)
    size = int.from_bytes(file.read(2, 16), "big")
    size = 65_536 if size == 1 else size
    place = size  # the first page describes the tables
    while block := file.read(size * _PAGES_AT_ONCE, place):
        place += len(block)
        for start in range(0, len(block), size):
            if block[start] == _TABLE_LEAF and _TEXT.search(_unused(block, start, size)):
                return True
    return False


def _unused(block: bytes, start: int, size: int) -> bytes:
    """Return what stands between the pointers to the rows of a page and the rows."""
    rows = int.from_bytes(block[start + 3 : start + 5], "big")
    content = int.from_bytes(block[start + 5 : start + 7], "big") or size
    return block[start + _HEADER + 2 * rows : start + content]
