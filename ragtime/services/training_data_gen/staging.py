"""The working file of a run: passages, and units of work with what became of them.

All is found by hashes of content, so that neither the order of the input nor the number of workers matters. What is
finished stays finished: a run that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from ragtime.errors import StorageError
from ragtime.records.retrieval import Document
from ragtime.utils.hashing import canonical_json, text_hash

__all__ = ["StagedUnit", "Staging", "remove_staging"]

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (id TEXT PRIMARY KEY, place INTEGER, parent TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS documents_by_place ON documents (place);
CREATE INDEX IF NOT EXISTS documents_by_parent ON documents (parent) WHERE parent IS NOT NULL;
CREATE TABLE IF NOT EXISTS units (
    strategy TEXT, key BLOB, body TEXT NOT NULL, made TEXT, PRIMARY KEY (strategy, key)
);
CREATE TABLE IF NOT EXISTS seen (kind TEXT, hash BLOB, times INTEGER NOT NULL, PRIMARY KEY (kind, hash)) WITHOUT ROWID;
"""
_PAGE = 256


def remove_staging(path: Path) -> None:
    """Remove a working file, if there is one, with what lies beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.rmtree(_folder_of(path), ignore_errors=True)


def _folder_of(path: Path) -> Path:
    return path.with_name(path.name + ".index")


class StagedUnit(NamedTuple):
    """A unit of work in the file.

    Attributes:
        key: Where it comes in the order of the strategy's units.
        body: The unit.
        made: What was made of it, as JSON; ``None`` while nothing was.
    """

    key: bytes
    body: Mapping[str, Any]
    made: str | None


class Staging:
    """The working file; safe for threads of one process.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, *, seed: int) -> None:
        """Open the file, or make it.

        Args:
            path: The file.
            seed: Gives the units their order.

        Raises:
            StorageError: It cannot be opened, or is damaged.
        """
        self._seed = seed
        self._lock = threading.RLock()
        self._open(path)

    def _open(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"The working file {str(path)!r} cannot be used: {type(error).__name__}") from error

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Use the connection alone, and say of a failure which file it was."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                found = getattr(error, "sqlite_errorname", "") or type(error).__name__
                raise StorageError(
                    f"The working file {str(self.path)!r} cannot be used ({found}); free some space or remove it"
                ) from error

    def move_to(self, path: Path) -> None:
        """Go on in another file: in the one that is there, which must have been made of the same, or in this one moved.

        Args:
            path: The file.

        Raises:
            StorageError: It cannot be opened.
        """
        with self._held():
            former = self.path
            self._connection.close()
            if path.exists():
                remove_staging(former)
            else:
                former.replace(path)
            self._open(path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all of a ``with`` block, or nothing."""
        with self._held():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # of a full disk, SQLite has rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise

    # --- passages -----------------------------------------------------------------------------------------------

    def add_document(self, document: Document) -> bool | None:
        """Add a passage.

        Args:
            document: The passage.

        Returns:
            Whether it is new; ``None`` when there is a different one with its id.
        """
        body = document.model_dump_json()
        parent = document.metadata.get("parent")
        with self._held():
            cursor = self._connection.execute(
                "INSERT OR IGNORE INTO documents (id, parent, body) VALUES (?, ?, ?)",
                (document.id, parent if isinstance(parent, str) else None, body),
            )
            if cursor.rowcount:
                return True
            stored = self._connection.execute("SELECT body FROM documents WHERE id = ?", (document.id,)).fetchone()
        return False if stored[0] == body else None

    def place_documents(self) -> str:
        """Number the passages by id, and return a hash of them all."""
        digest = hashlib.sha256()
        with self.transaction():
            rows = self._connection.execute("SELECT id, body FROM documents ORDER BY id")
            places = []
            for place, (document_id, body) in enumerate(rows):
                digest.update(body.encode() + b"\n")
                places.append((place, document_id))
            self._connection.executemany("UPDATE documents SET place = ? WHERE id = ?", places)
        return digest.hexdigest()

    def document_count(self) -> int:
        """Return how many passages there are."""
        return int(self._one("SELECT count(*) FROM documents"))

    def documents(self, ids: Sequence[str]) -> dict[str, Document]:
        """Return the passages of some ids; those that are not there are left out."""
        query = "SELECT id, body FROM documents WHERE id IN (SELECT value FROM json_each(?))"
        with self._held():
            rows = self._connection.execute(query, (json.dumps(list(ids)),)).fetchall()
        return {document_id: Document.model_validate_json(body) for document_id, body in rows}

    def parts_of(self, parent: str) -> list[str]:
        """Return the ids of the passages that a longer document was divided into, in the order of their ids."""
        with self._held():
            rows = self._connection.execute("SELECT id FROM documents WHERE parent = ? ORDER BY id", (parent,))
            return [row[0] for row in rows]

    def parents_of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the longer documents of which passages are parts, by the ids of the passages; of others, nothing."""
        query = """SELECT id, parent FROM documents
            WHERE parent IS NOT NULL AND id IN (SELECT value FROM json_each(?))"""
        with self._held():
            return dict(self._connection.execute(query, (json.dumps(sorted(ids)),)))

    def all_documents(self) -> Iterator[Document]:
        """Read all passages, in the order of their ids."""
        last = ""
        query = "SELECT id, body FROM documents WHERE id > ? ORDER BY id LIMIT ?"
        while True:
            with self._held():
                rows = self._connection.execute(query, (last, _PAGE)).fetchall()
            if not rows:
                return
            for _, body in rows:
                yield Document.model_validate_json(body)
            last = rows[-1][0]

    # --- units --------------------------------------------------------------------------------------------------

    def add_unit(self, strategy: str, body: Mapping[str, Any]) -> bool:
        """Add a unit; returns whether it is new."""
        text = canonical_json(dict(body))
        key = bytes.fromhex(text_hash(f"{self._seed} {strategy} {text}"))[:16]
        with self._held():
            cursor = self._connection.execute(
                "INSERT OR IGNORE INTO units (strategy, key, body) VALUES (?, ?, ?)",
                (strategy, key, text),
            )
        return bool(cursor.rowcount)

    def units_hash(self) -> str:
        """Return a hash of all units."""
        digest = hashlib.sha256()
        with self._held():
            for (key,) in self._connection.execute("SELECT key FROM units ORDER BY strategy, key"):
                digest.update(key)
        return digest.hexdigest()

    def next_units(self, strategy: str, after: bytes, count: int) -> list[StagedUnit]:
        """Return the units of a strategy that come after a key, in their order."""
        query = "SELECT key, body, made FROM units WHERE strategy = ? AND key > ? ORDER BY key LIMIT ?"
        with self._held():
            rows = self._connection.execute(query, (strategy, after, count)).fetchall()
        return [StagedUnit(key, json.loads(body), made) for key, body, made in rows]

    def keep_made(self, strategy: str, made: Iterable[tuple[bytes, str]]) -> None:
        """Keep what was made of some units of a strategy, by their keys; all or nothing."""
        rows = [(one, strategy, key) for key, one in made]
        with self.transaction():
            self._connection.executemany("UPDATE units SET made = ? WHERE strategy = ? AND key = ?", rows)

    # --- what was seen ------------------------------------------------------------------------------------------

    def see_all(self, kind: str, texts: Sequence[str]) -> list[int]:
        """Tell that some texts were seen, one after the other; returns how often each has been, this time included."""
        with self.transaction():
            return [self._see(kind, text) for text in texts]

    def _see(self, kind: str, text: str) -> int:
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        query = """INSERT INTO seen VALUES (?, ?, 1) ON CONFLICT (kind, hash)
            DO UPDATE SET times = times + 1 RETURNING times"""
        return int(self._connection.execute(query, (kind, digest)).fetchone()[0])

    def fresh_folder(self, name: str) -> Path:
        """Return an empty folder beside the file, which goes with it."""
        folder = _folder_of(self.path) / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def forget_seen(self, kind: str | None = None) -> None:
        """Begin to count anew what is seen, of one kind, or of all."""
        with self._held():
            self._connection.execute("DELETE FROM seen WHERE kind = coalesce(?, kind)", (kind,))

    # --- the file -----------------------------------------------------------------------------------------------

    def _one(self, query: str) -> Any:
        with self._held():
            return self._connection.execute(query).fetchone()[0]

    def close(self) -> None:
        """Close the file; it stays."""
        with self._held():
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()
