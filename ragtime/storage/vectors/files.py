"""The files of a persistent index: append-only data, an append-only journal, one writer.

A folder holds ``index.json`` (the header), ``vectors-N.f32`` (rows of little-endian float32, nothing else),
``journal-N.log`` and ``lock``, where N is the generation. Rows are written before the line of the journal that counts
them, so that whatever stands behind the last whole line was never acknowledged.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.storage.vectors.header import HEADER_NAME, Header, read_header
from ragtime.storage.vectors.journal import Entry, Journal, encode_entry, read_journal
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.storage.vectors.arguments import Matrix
else:
    np = LazyModule("numpy")

__all__ = ["Durability", "VectorFiles"]

Durability = Literal["normal", "full"]
"""Whether a change that was acknowledged survives the death of the process, or of the machine, too."""

_LITTLE_ENDIAN = "<f4"
_TRIES = 5  # of a reader that finds the files gone because the writer has compacted the index

_log = get_logger(__name__)


class VectorFiles:
    """The open files of one generation.

    Attributes:
        header: What the index is.
        read_only: Whether nothing can be appended.
    """

    def __init__(self, folder: Path, header: Header, *, full: bool, read_only: bool, lock: int | None = None) -> None:
        """Open the files of the generation that `header` names; :meth:`open` finds it, and takes the `lock`."""
        self.header, self.read_only = header, read_only
        self._folder, self._full, self._broken = folder, full, False
        self._lock = lock
        self._data_end = self._journal_end = self._checksum = 0
        flags = os.O_RDONLY if read_only else os.O_RDWR
        self._journal_fd = os.open(self._journal_path, flags)
        try:
            self._data_fd = os.open(self._data_path, flags)
        except OSError:
            os.close(self._journal_fd)
            raise

    @classmethod
    def open(cls, folder: Path, expected: Header, *, durability: Durability, read_only: bool) -> VectorFiles:
        """Open the files of an index, and make it when a writer finds none.

        Args:
            folder: Where they are.
            expected: Dimension and fingerprint that the index must have.
            durability: What an acknowledged change survives.
            read_only: Whether to leave the folder as it is, and take no lock.

        Returns:
            The open files, their content not read yet.

        Raises:
            StorageError: The files are damaged or belong to another encoder, another writer has them open, or the
                folder cannot be read or written.
        """
        lock: int | None = None
        try:
            if not read_only:
                lock = _lock(folder)
                _create(folder, expected)
            files = cls._open_current(folder, expected, full=durability == "full", read_only=read_only, lock=lock)
        except BaseException as error:
            if lock is not None:
                os.close(lock)
            if isinstance(error, OSError):
                raise _cannot_open(folder, error) from error
            raise
        return files

    @classmethod
    def _open_current(
        cls, folder: Path, expected: Header, *, full: bool, read_only: bool, lock: int | None
    ) -> VectorFiles:
        for _ in range(_TRIES):
            header = read_header(folder)
            header.check_matches(expected, folder)
            try:
                return cls(folder, header, full=full, read_only=read_only, lock=lock)
            except FileNotFoundError:
                if header == read_header(folder):
                    raise
        raise StorageError(f"The vector index in '{folder}' is being compacted again and again; try again")

    @property
    def _data_path(self) -> Path:
        return _data_path(self._folder, self.header)

    @property
    def _journal_path(self) -> Path:
        return _journal_path(self._folder, self.header)

    def load(self) -> list[Entry]:
        """Read the journal, check every row against it, and cut off what a dead writer left half-written.

        Returns:
            The changes, oldest first.

        Raises:
            StorageError: A line or a row is damaged, or the files cannot be read or cut.
        """
        try:
            return self._load()
        except OSError as error:
            raise _cannot_open(self._folder, error) from error

    def _load(self) -> list[Entry]:
        with os.fdopen(os.dup(self._journal_fd), "rb") as file:  # by now its name may belong to nothing
            journal = read_journal(file, self._journal_path)
        stride = 4 * self.header.dimension
        size = os.fstat(self._data_fd).st_size  # after the journal, whose rows are there before it counts them
        rows = 0
        for number, entry in enumerate(journal.entries):
            if (rows + len(entry.added)) * stride > size:
                self._drop_from(journal, number)
                break
            rows += len(entry.added)
        self._check_rows(journal.entries, rows)
        self._data_end = rows * stride
        self._journal_end, self._checksum = journal.end
        if not self.read_only:
            self._cut_tails(journal.torn, size - self._data_end)
            self._remove_other_generations()
        return journal.entries

    def _drop_from(self, journal: Journal, number: int) -> None:
        # Only the death of the machine takes rows away from under their journal, and only without full durability.
        dropped = journal.entries[number:]
        _log.warning(
            "Vectors that were not yet on disk when the machine stopped are dropped: the file ends before them",
            file=str(self._data_path),
            changes=len(dropped),
            vectors=sum(len(entry.added) for entry in dropped),
            removals=sum(len(entry.removed) for entry in dropped),
        )
        journal.torn += journal.end[0] - (journal.ends[number - 1][0] if number else 0)
        del journal.entries[number:], journal.ends[number:]

    def _check_rows(self, entries: list[Entry], rows: int) -> None:
        if not rows:
            return
        data = self.map_rows(0, rows).data.cast("B")
        position = 0
        for entry in entries:
            end = position + 4 * self.header.dimension * len(entry.added)
            if entry.added and zlib.crc32(data[position:end]) != entry.checksum:
                raise StorageError(
                    f"'{self._data_path}' is damaged between bytes {position} and {end}; restore the folder from a "
                    "copy, or delete it and add the vectors again"
                )
            position = end

    def _cut_tails(self, journal_bytes: int, data_bytes: int) -> None:
        if not journal_bytes and not data_bytes:
            return
        _log.warning(
            "A half-written change is dropped: the last writer stopped before it was acknowledged",
            folder=str(self._folder),
            journal_bytes=journal_bytes,
            data_bytes=data_bytes,
            vectors_begun=-(-data_bytes // (4 * self.header.dimension)),
        )
        self._cut()

    def _cut(self) -> None:
        os.ftruncate(self._journal_fd, self._journal_end)
        os.ftruncate(self._data_fd, self._data_end)

    def _remove_other_generations(self) -> None:
        keep = {self._data_path, self._journal_path}
        for pattern in ("vectors-*.f32", "journal-*.log", f".{HEADER_NAME}.*.tmp"):
            for path in set(self._folder.glob(pattern)) - keep:
                path.unlink(missing_ok=True)

    def map_rows(self, first: int, last: int) -> Matrix:
        """Map rows of the data file.

        Args:
            first: Number of the first row.
            last: Number after the last row.

        Returns:
            A read-only float32 array of shape ``[last - first, dimension]``, read from disk where it is used.
        """
        shape = (last - first, self.header.dimension)
        with os.fdopen(os.dup(self._data_fd), "rb") as file:
            mapped = np.memmap(file, _LITTLE_ENDIAN, "r", offset=4 * first * self.header.dimension, shape=shape)
        return np.asarray(mapped)

    def append(self, entry: Entry, vectors: Matrix | None = None) -> None:
        """Write a change; when this returns, it is acknowledged.

        Args:
            entry: The change; the checksum of its rows is filled in here.
            vectors: The rows it adds, float32 of shape ``[n, dimension]``; ``None`` means none.

        Raises:
            StorageError: The change cannot be written; the index is as before.
        """
        if self._broken:
            raise StorageError(f"Writing to '{self._folder}' failed before and could not be undone; open it again")
        data = memoryview(b"") if vectors is None else _bytes_of(vectors)
        line, checksum = encode_entry(entry._replace(checksum=zlib.crc32(data)), self._checksum)
        try:
            _write(self._data_fd, data, self._data_end)
            if self._full and data:
                os.fsync(self._data_fd)
            _write(self._journal_fd, memoryview(line), self._journal_end)
            if self._full:
                os.fsync(self._journal_fd)
        except BaseException as error:  # an interrupt, too, would leave half a change
            self._undo()
            if isinstance(error, OSError):
                raise _cannot_write(self._folder, error) from error
            raise
        self._data_end += len(data)
        self._journal_end += len(line)
        self._checksum = checksum

    def _undo(self) -> None:
        try:
            self._cut()
        except OSError:
            self._broken = True

    def rewrite(self, batches: Iterable[tuple[list[str], Matrix, float]]) -> VectorFiles:
        """Write the next generation and make it the one that counts, atomically.

        Args:
            batches: Ids, rows and the length of the longest row.

        Returns:
            The open files of the new generation, which take over the lock; these here are closed.

        Raises:
            StorageError: The files cannot be written; the old generation counts on.
        """
        header = self.header.next
        with ExitStack() as undo:
            undo.callback(self._discard, header)
            try:
                _make_empty(self._folder, header)
                files = VectorFiles(self._folder, header, full=False, read_only=False)  # one flush at the end does
                undo.callback(files.close)
                for ids, vectors, longest in batches:
                    files.append(Entry(added=ids, longest=longest), vectors)
                files.flush()
                header.write(self._folder)
            except OSError as error:
                raise _cannot_write(self._folder, error) from error
            undo.pop_all()
        files._full, files._lock, self._lock = self._full, self._lock, None
        self.close()
        with suppress(OSError):  # what is left is removed by the next writer
            files._remove_other_generations()
        return files

    def _discard(self, header: Header) -> None:
        if read_header(self._folder) == header:
            self._broken = True  # it counts already: only the flush of the folder failed
            return
        for path in (_data_path(self._folder, header), _journal_path(self._folder, header)):
            path.unlink(missing_ok=True)

    def flush(self) -> None:
        """Wait until everything written is on disk; StorageError when that fails."""
        try:
            os.fsync(self._data_fd)
            os.fsync(self._journal_fd)
        except OSError as error:
            raise _cannot_write(self._folder, error) from error

    def close(self) -> None:
        """Close the files and release the lock; arrays that map the data stay valid."""
        for descriptor in (self._journal_fd, self._data_fd, self._lock):
            if descriptor is not None:
                os.close(descriptor)


def _cannot_open(folder: Path, error: OSError) -> StorageError:
    if isinstance(error, FileNotFoundError):
        if not (folder / HEADER_NAME).exists():
            return StorageError(f"There is no vector index in '{folder}'")
        return StorageError(f"'{error.filename}' is missing; restore the folder from a copy")
    return StorageError(f"Cannot open the vector index in '{folder}': {error.strerror or error}")


def _cannot_write(folder: Path, error: OSError) -> StorageError:
    return StorageError(f"Cannot write to the vector index in '{folder}': {error.strerror or error}")


def _data_path(folder: Path, header: Header) -> Path:
    return folder / f"vectors-{header.generation}.f32"


def _journal_path(folder: Path, header: Header) -> Path:
    return folder / f"journal-{header.generation}.log"


def _make_empty(folder: Path, header: Header) -> None:
    for path in (_data_path(folder, header), _journal_path(folder, header)):
        path.open("wb").close()


def _create(folder: Path, header: Header) -> None:
    if (folder / HEADER_NAME).exists():
        return
    first = _data_path(folder, header)
    if first.exists() and first.stat().st_size:
        raise StorageError(f"'{folder / HEADER_NAME}' is missing beside vectors; restore it, or delete the folder")
    _make_empty(folder, header)
    header.write(folder)


def _lock(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    # flock, not lockf: a second writer in this very process is refused, too.
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StorageError(
            f"Another writer has the vector index in '{folder}' open: close it there, or open it here with "
            "read_only=True"
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _bytes_of(vectors: Matrix) -> memoryview:
    return np.ascontiguousarray(vectors, _LITTLE_ENDIAN).data.cast("B")


def _write(descriptor: int, data: memoryview, position: int) -> None:
    # In the place where it belongs, not at the end: what a failed write left behind is overwritten.
    while data:
        written = os.pwrite(descriptor, data, position)
        data, position = data[written:], position + written
