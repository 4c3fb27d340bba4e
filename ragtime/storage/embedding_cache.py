"""Vectors on disk, so that no text is embedded twice.

One SQLite file for all models: an entry is found by the fingerprint of its encoder and the hash of its text, so vectors
of two models never mix. Several processes may use it at once. Each vector carries a checksum; one that is damaged
counts as missing.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["CacheStatistics", "EmbeddingCache"]

_log = get_logger(__name__)

_OVERHEAD = 120  # bytes of an entry besides its vector: keys, index, page headers
_BUSY_SECONDS = 60.0
_KEYS_AT_ONCE = 500  # parameters of one statement; SQLite may allow no more than 999
_USE_GRAIN = 60 * 10**9  # nanoseconds within which another use is not noted: reading must not cost a write each time
_KEPT_SHARE = 0.9  # what is left after entries are dropped, so that not every write drops some
_DROPPED_AT_ONCE = 1000
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS spaces (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS entries (
    space INTEGER NOT NULL, text BLOB NOT NULL, vector BLOB NOT NULL, checksum INTEGER NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (space, text)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used);
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO totals VALUES ('bytes', 0), ('entries', 0);
CREATE TRIGGER IF NOT EXISTS entry_added AFTER INSERT ON entries BEGIN
    UPDATE totals SET value = value + length(NEW.vector) + {_OVERHEAD} WHERE name = 'bytes';
    UPDATE totals SET value = value + 1 WHERE name = 'entries';
END;
CREATE TRIGGER IF NOT EXISTS entry_removed AFTER DELETE ON entries BEGIN
    UPDATE totals SET value = value - length(OLD.vector) - {_OVERHEAD} WHERE name = 'bytes';
    UPDATE totals SET value = value - 1 WHERE name = 'entries';
END;
COMMIT;
"""  # noqa: S608 - a constant of ours


class CacheStatistics(NamedTuple):
    """How full a cache is.

    Attributes:
        entries: Vectors in it.
        bytes: What they take, in bytes, keys included: what `max_bytes` bounds.
        file_bytes: Size of the file, in bytes; dropped entries leave room in it for new ones.
    """

    entries: int
    bytes: int
    file_bytes: int


class EmbeddingCache:
    """Keeps vectors by encoder and text, the least recently used going first.

    Safe for several threads and processes. What ``put`` has returned from survives the death of the process.

    Attributes:
        path: The file.
        max_bytes: Upper bound of what the entries take, in bytes.
    """

    def __init__(self, path: str | Path, *, max_bytes: int, clock: Callable[[], int] = time.time_ns) -> None:
        """Prepare the cache; the file is made at the first use.

        Args:
            path: The file; folders are made as needed.
            max_bytes: Upper bound of what the entries take, in bytes.
            clock: Returns nanoseconds; orders the uses.

        Raises:
            InvalidArgumentError: `max_bytes` is not positive.
        """
        if max_bytes <= 0:
            raise InvalidArgumentError(f"max_bytes must be positive, found {max_bytes}")
        self.path = Path(path)
        self.max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.RLock()
        self._opened: tuple[int, sqlite3.Connection] | None = None

    def get(self, fingerprint: str, texts: Sequence[str], *, dimension: int) -> dict[str, npt.NDArray[np.float32]]:
        """Look texts up.

        Args:
            fingerprint: The encoder's, for the role in question.
            texts: The texts.
            dimension: Length of the encoder's vectors; an entry of another length counts as damaged.

        Returns:
            The vectors that are there, float32 of shape ``[dimension]``, by text.

        Raises:
            StorageError: The file cannot be read.
        """
        keys = {_key(text): text for text in texts}
        found: dict[str, npt.NDArray[np.float32]] = {}
        damaged: list[bytes] = []
        stale: list[bytes] = []
        now = self._clock()
        with self._connection() as connection:
            space = self._space(connection, fingerprint, make=False)
            for key, blob, checksum, used in self._rows(connection, space, list(keys)):
                if zlib.crc32(blob) != checksum or len(blob) != 4 * dimension:
                    damaged.append(key)
                    continue
                found[keys[key]] = np.frombuffer(blob, dtype="<f4").astype(np.float32, copy=False)
                if now - used > _USE_GRAIN:
                    stale.append(key)
            if damaged or stale:
                with connection:
                    connection.executemany(
                        "DELETE FROM entries WHERE space = ? AND text = ?", [(space, key) for key in damaged]
                    )
                    connection.executemany(
                        "UPDATE entries SET used = ? WHERE space = ? AND text = ?", [(now, space, key) for key in stale]
                    )
        if damaged:
            _log.warning("Damaged vectors in the embedding cache are computed anew", extra={"count": len(damaged)})
        return found

    def put(self, fingerprint: str, vectors: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Add vectors, and drop the least recently used ones when there is no room; an entry that is there stays.

        Args:
            fingerprint: The encoder's, for the role in question.
            vectors: Vectors of shape ``[dimension]``, by text.

        Raises:
            StorageError: The file cannot be written.
        """
        if not vectors:
            return
        now = self._clock()
        blobs = {_key(text): np.ascontiguousarray(vector, dtype="<f4").tobytes() for text, vector in vectors.items()}
        with self._connection() as connection, connection:
            space = self._space(connection, fingerprint, make=True)
            connection.executemany(
                "INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?, ?)",
                [(space, key, blob, zlib.crc32(blob), now) for key, blob in blobs.items()],
            )
            self._make_room(connection)

    def remove(self, texts: Sequence[str]) -> int:
        """Forget texts, for every encoder.

        Args:
            texts: The texts.

        Returns:
            The number of vectors removed.

        Raises:
            StorageError: The file cannot be written.
        """
        with self._connection() as connection, connection:
            before = self._total(connection, "entries")
            spaces = [row[0] for row in connection.execute("SELECT id FROM spaces")]
            connection.executemany(
                "DELETE FROM entries WHERE space = ? AND text = ?",
                [(space, _key(text)) for space in spaces for text in texts],
            )
            return before - self._total(connection, "entries")

    def statistics(self) -> CacheStatistics:
        """Tell how full the cache is.

        Returns:
            Entries and bytes; a file that does not exist yet counts as empty and is not made.

        Raises:
            StorageError: The file cannot be read.
        """
        if not self.path.exists():
            return CacheStatistics(0, 0, 0)
        with self._connection() as connection:
            entries, size = self._total(connection, "entries"), self._total(connection, "bytes")
        return CacheStatistics(entries, size, self.path.stat().st_size)

    def check(self) -> None:
        """Look through the whole file.

        Raises:
            StorageError: It is damaged; it was set aside.
        """
        if self.path.exists():
            with self._connection() as connection:
                told = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if told != "ok":
                    raise sqlite3.DatabaseError(told)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._opened is not None and self._opened[0] == os.getpid():
                self._opened[1].close()
            self._opened = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the file -------------------------------------------------------------------------------------------------

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection of this process, and turn the errors of SQLite into ours."""
        with self._lock:
            try:
                yield self._open()
            except sqlite3.DatabaseError as error:
                if not _means_damage(error):
                    raise StorageError(f"The embedding cache {str(self.path)!r} cannot be used: {error}") from error
                self._set_aside(error)
                raise StorageError(f"The embedding cache {str(self.path)!r} was damaged, and was set aside") from error

    def _open(self) -> sqlite3.Connection:
        if self._opened is not None and self._opened[0] == os.getpid():  # a connection must not cross a fork
            return self._opened[1]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"The embedding cache {str(self.path)!r} cannot be made: {error.strerror}") from error
        for attempt in (1, 2):
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level="IMMEDIATE"
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(_SCHEMA)
            except sqlite3.DatabaseError as error:
                connection.close()
                if attempt == 2 or not _means_damage(error):  # noqa: PLR2004
                    raise
                self._set_aside(error)
                continue
            self._opened = (os.getpid(), connection)
            return connection
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Move a damaged file out of the way; what was in it can be computed again."""
        self.close()
        aside = self.path.with_name(f"{self.path.name}.damaged")
        _log.warning(
            "The embedding cache is damaged; it is set aside and a new one is begun",
            extra={"path": str(self.path), "aside": str(aside), "error": str(error)},
        )
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        if self.path.exists():
            self.path.replace(aside)

    def _space(self, connection: sqlite3.Connection, fingerprint: str, *, make: bool) -> int:
        if make:
            connection.execute("INSERT OR IGNORE INTO spaces (fingerprint) VALUES (?)", (fingerprint,))
        row = connection.execute("SELECT id FROM spaces WHERE fingerprint = ?", (fingerprint,)).fetchone()
        return int(row[0]) if row else -1

    def _rows(
        self, connection: sqlite3.Connection, space: int, keys: Sequence[bytes]
    ) -> Iterator[tuple[bytes, bytes, int, int]]:
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT text, vector, checksum, used FROM entries WHERE space = ? AND text IN ({marks})"  # noqa: S608
            yield from connection.execute(query, (space, *some)).fetchall()

    def _total(self, connection: sqlite3.Connection, name: str) -> int:
        return int(connection.execute("SELECT value FROM totals WHERE name = ?", (name,)).fetchone()[0])

    def _make_room(self, connection: sqlite3.Connection) -> None:
        size = self._total(connection, "bytes")
        if size <= self.max_bytes:
            return
        entries = self._total(connection, "entries")
        while size > self.max_bytes * _KEPT_SHARE and entries:
            excess = size - self.max_bytes * _KEPT_SHARE
            number = min(_DROPPED_AT_ONCE, max(1, round(excess / (size / entries))))
            connection.execute(
                "DELETE FROM entries WHERE (space, text) IN "
                "(SELECT space, text FROM entries ORDER BY used, space, text LIMIT ?)",
                (number,),
            )
            size, entries = self._total(connection, "bytes"), self._total(connection, "entries")


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _means_damage(error: sqlite3.DatabaseError) -> bool:
    # An error of this class itself, with no code, is what check() raises.
    code = getattr(error, "sqlite_errorcode", None)
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or (
        code is None and type(error) is sqlite3.DatabaseError
    )
