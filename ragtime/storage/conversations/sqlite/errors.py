"""Errors of SQLite as those of ragtime: what happened, and what to do."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ragtime.errors import StorageError

__all__ = ["cause_to_show", "missing_row", "rolled_back", "storage_error"]

_PRIMARY = 0xFF  # the low byte of an extended code says what kind of error it is
_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process has locked it for too long; try again, or end that process",
    sqlite3.SQLITE_LOCKED: "another process has locked it for too long; try again, or end that process",
    sqlite3.SQLITE_READONLY: "it cannot be written; make the file and its folder writable for this user",
    sqlite3.SQLITE_PERM: "it cannot be opened; make the file and its folder readable and writable for this user",
    sqlite3.SQLITE_AUTH: "it cannot be opened; make the file and its folder readable and writable for this user",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that the path names a file, in a folder that can be written",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and try again: nothing of this call was kept",
    sqlite3.SQLITE_IOERR: "the disk failed or is full; check it and try again: nothing of this call was kept",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put it aside and restore it from a backup",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database, or damaged; check the path, or restore it from a backup",
    sqlite3.SQLITE_NOMEM: "there is no memory left; free some and try again: nothing of this call was kept",
    sqlite3.SQLITE_TOOBIG: "a turn is larger than SQLite can hold; make it smaller",
}


def missing_row() -> StorageError:
    """Return the error for a row that others refer to, but that is not there."""
    return StorageError("A row of the file is missing that others refer to: it is damaged; restore it from a backup")


def cause_to_show(error: sqlite3.Error | UnicodeDecodeError) -> Exception | None:
    """Return an error if it may be the cause of another: one that SQLite did not raise may quote what was read."""
    return error if getattr(error, "sqlite_errorcode", None) is not None else None


def storage_error(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> StorageError:
    """Return our error for one of SQLite.

    Args:
        path: The file.
        error: The error, also that bytes of the file are no text; its own text is not quoted.

    Returns:
        The error to raise from ``cause_to_show``.
    """
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code is None and (isinstance(error, UnicodeDecodeError) or "decode to UTF-8" in str(error)):
        code, name = sqlite3.SQLITE_CORRUPT, "text that is no UTF-8"
    advice = _ADVICE.get(code & _PRIMARY, "SQLite refused the work") if code is not None else "SQLite refused the work"
    return StorageError(f"The conversations in {str(path)!r} cannot be used: {advice} ({name})")


def rolled_back(connection: sqlite3.Connection) -> bool:
    """Tell whether an error has ended the transaction, which SQLite does when the disk is full, for instance."""
    return not connection.in_transaction
