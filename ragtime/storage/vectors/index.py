"""The index that callers use: ids and rows, what is removed, and the search over both."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.storage.vectors.arguments import (
    CheckedVectors,
    Matrix,
    Rows,
    check_dimension,
    check_distinct,
    check_ids,
    check_k,
    check_queries,
    check_vectors,
    named,
)
from ragtime.storage.vectors.blocks import Blocks, gather
from ragtime.storage.vectors.files import Durability, VectorFiles
from ragtime.storage.vectors.header import Header
from ragtime.storage.vectors.journal import Entry
from ragtime.storage.vectors.scan import Mask, Scanner, parts_of
from ragtime.storage.vectors.search import FEW_QUERIES, QUERIES, Hit, exact_scores, find_candidates
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["VectorIndex"]

_MEMORY_BYTES = 256 << 20
_GATHER_BELOW = 4  # copying a single row costs about as much as scanning four

_log = get_logger(__name__)


class VectorIndex:
    """Finds the vectors with the largest inner products, exactly.

        >>> index = VectorIndex(2)
        >>> index.add(["east", "north"], [[1.0, 0.0], [0.0, 1.0]])
        >>> index.search([0.8, 0.6], k=1)
        [[Hit(id='east', score=0.800000011920929)]]

    Scores are float32 values that depend on the query and the found vector alone, and ties go to the smaller id: the
    result is the same whatever the order of insertion, the number of threads and the other queries in the call. Vectors
    are kept as they are given; for vectors of unit length, which encoders give, the score is the cosine.

    Methods may be called from several threads. This class keeps everything in memory; :meth:`open` gives an index that
    rests in a folder.

    Attributes:
        dimension: Length of the vectors.
        fingerprint: Hash of the encoder that makes them; empty when none was given.
    """

    def __init__(self, dimension: int, *, fingerprint: str = "") -> None:
        """Make an empty index in memory for vectors of length `dimension`."""
        self.dimension = check_dimension(dimension)
        self.fingerprint = fingerprint
        self._files: VectorFiles | None = None
        self._memory_bytes = 0
        self._closed = False
        self._lock = threading.RLock()
        self._scanner = Scanner()
        self._reset()

    def _reset(self) -> None:
        reader = None if self._files is None else self._files.map_rows
        self._blocks = Blocks(self.dimension, reader=reader, memory_bytes=self._memory_bytes)
        self._ids: list[str] = []  # of every row, removed ones included
        self._rows: dict[str, int] = {}  # of what is not removed, in the order of the rows
        self._removed: dict[int, Mask] = {}  # by block; replaced, never written to: a search may be reading them
        self._longest = 0.0

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        dimension: int,
        fingerprint: str = "",
        durability: Durability = "normal",
        read_only: bool = False,
        memory_bytes: int = _MEMORY_BYTES,
    ) -> Self:
        """Open the index in a folder, and make it when there is none.

        One writer at a time may have it open, any number of readers beside it; a reader sees what had been acknowledged
        when it opened. Every vector is checked against its checksum. What a writer that was killed left half-written is
        cut off, with a warning in the log.

        Args:
            folder: Folder of the index, its own.
            dimension: Length of the vectors.
            fingerprint: Hash of the encoder; the index takes vectors of no other.
            durability: ``normal``: what was acknowledged survives the death of the process; after the death of the
                machine the last changes may be gone or, rarely, the index be refused as damaged. ``full``: it survives
                both, at the price of two flushes to disk for each change.
            read_only: Whether to change nothing, the folder included, which must exist.
            memory_bytes: How much is held in memory, in bytes; vectors beyond it, but for the last 16 MiB, are
                memory-mapped.

        Returns:
            The index; close it, or use it in a ``with`` statement.

        Raises:
            StorageError: The index has another dimension or fingerprint, another writer has it open, a file is damaged
                or missing, or the folder cannot be read or written.
            InvalidArgumentError: An argument has a wrong value.
        """
        if durability not in {"normal", "full"}:
            raise InvalidArgumentError(f"durability must be 'normal' or 'full', found {durability!r}")
        index = cls(dimension, fingerprint=fingerprint)
        index._memory_bytes = memory_bytes
        with log_operation(_log, "open_vector_index", folder=str(folder), read_only=read_only) as operation:
            expected = Header(index.dimension, fingerprint)
            index._files = VectorFiles.open(Path(folder), expected, durability=durability, read_only=read_only)
            try:
                index._load()
            except BaseException:
                index.close()
                raise
            operation.add(vectors=len(index), rows=len(index._ids))
        return index

    def _load(self) -> None:
        assert self._files is not None  # noqa: S101 - only called with files
        entries = self._files.load()
        self._reset()
        self._blocks.load(sum(len(entry.added) for entry in entries))
        removed: list[int] = []
        for entry in entries:
            removed += self._apply(entry)
        self._exclude(removed)

    def _apply(self, entry: Entry) -> list[int]:
        """Follow a change in the ids; returns the rows that it removes."""
        rows = [self._rows.pop(one) for one in [*entry.removed, *entry.added] if one in self._rows]
        self._rows.update(zip(entry.added, range(len(self._ids), len(self._ids) + len(entry.added)), strict=True))
        self._ids += entry.added
        self._longest = max(self._longest, entry.longest)
        return rows

    def _exclude(self, rows: Sequence[int]) -> None:
        if not rows:
            return
        size = self._blocks.rows_per_block
        numbers = np.sort(np.asarray(rows, np.int64))
        blocks, starts = np.unique(numbers // size, return_index=True)
        for block, group in zip(blocks.tolist(), np.split(numbers, starts[1:]), strict=True):
            old = self._removed.get(block)
            mask = np.zeros(size, np.bool_) if old is None else old.copy()
            mask[group - block * size] = True
            self._removed[block] = mask

    # --- changes ----------------------------------------------------------------------------------------------------

    def add(self, ids: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Add vectors, all of them or, after an error, none; an id that is there already gets the new vector.

        Args:
            ids: One distinct id for each vector.
            vectors: Numbers of shape ``[len(ids), dimension]``, kept as float32.

        Raises:
            InvalidArgumentError: Ids and vectors do not fit together or the index, an id is no text or stands twice, or
                a value is not finite; nothing is written.
            StorageError: The index is closed or read-only, or its files cannot be written; it is as before.
        """
        added = check_ids(ids)
        values, norms = check_vectors(vectors, self.dimension, count=len(added))
        check_distinct(added)
        with self._lock:
            self._check_writable()
            if added:
                self._change(Entry(added=added, longest=float(norms.max())), values)

    def remove(self, ids: Sequence[str]) -> int:
        """Remove vectors; their room is given back by :meth:`compact`.

        Args:
            ids: The ids; those that are not in the index are passed over.

        Returns:
            How many vectors were removed.

        Raises:
            InvalidArgumentError: An id is no text.
            StorageError: The index is closed or read-only, or its files cannot be written; it is as before.
        """
        wanted = dict.fromkeys(check_ids(ids))
        with self._lock:
            self._check_writable()
            present = [one for one in wanted if one in self._rows]
            if present:
                self._change(Entry(removed=present))
            return len(present)

    def _change(self, entry: Entry, values: Matrix | None = None) -> None:
        if self._files is not None:
            self._files.append(entry, values)
        if values is not None:
            self._blocks.append(values)
        self._exclude(self._apply(entry))

    def compact(self) -> None:
        """Give back the room of removed vectors.

        The files are written anew and exchanged at once; a crash leaves the old ones or the new ones. Readers that are
        open go on with the old ones.

        Raises:
            StorageError: The index is closed or read-only, or its files cannot be written; it is as before.
        """
        with self._lock, log_operation(_log, "compact_vector_index", rows_before=len(self._ids)) as operation:
            self._check_writable()
            if self._files is not None:
                self._files = self._files.rewrite(self._batches())
                self._load()
            else:
                batches = list(self._batches())
                self._reset()
                for ids, values, longest in batches:
                    self._change(Entry(added=ids, longest=longest), values)
            operation.add(rows=len(self._ids))

    def _batches(self) -> Iterator[tuple[list[str], Matrix, float]]:
        views, live, size = self._blocks.views(), self._live_rows(), self._blocks.rows_per_block
        for first in range(0, len(live), size):
            rows = live[first : first + size]
            values, norms = check_vectors(gather(views, rows), self.dimension)
            yield [self._ids[row] for row in rows.tolist()], values, float(norms.max())

    def _live_rows(self) -> Rows:
        return np.fromiter(self._rows.values(), np.int64, len(self._rows))

    # --- look-ups ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, one: object) -> bool:
        return one in self._rows

    def ids(self) -> list[str]:
        """Return the ids, in the order in which their vectors were added last."""
        with self._lock:
            return list(self._rows)

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Return vectors as they were added.

        Args:
            ids: Their ids, in any order, also several times.

        Returns:
            A copy, float32 of shape ``[len(ids), dimension]``, in the order of the ids.

        Raises:
            InvalidArgumentError: An id is no text, or not in the index.
            StorageError: The index is closed.
        """
        wanted = check_ids(ids)
        with self._lock:
            self._check_open()
            missing = [one for one in wanted if one not in self._rows]
            if missing:
                raise InvalidArgumentError(f"Not in the index: {named(missing)}")
            rows, back = np.unique(np.array([self._rows[one] for one in wanted], np.int64), return_inverse=True)
            views = self._blocks.views()
        return gather(views, rows)[back]

    def search(self, queries: npt.ArrayLike, k: int, *, among: Collection[str] | None = None) -> list[list[Hit]]:
        """Find the vectors with the largest inner products.

        Several queries in one call take a fraction of the time of as many calls: they share each look at a vector.

        Args:
            queries: Numbers of shape ``[q, dimension]``, or ``[dimension]`` for one query.
            k: How many vectors to find for each query.
            among: Ids that may be found, unknown ones passed over; ``None`` means all. The search looks at no others,
                so that a narrow choice makes it fast.

        Returns:
            For each query at most `k` hits, the best first, equal scores by ascending id.

        Raises:
            InvalidArgumentError: Wrong shape, a value that is not finite, or a `k` under 1.
            StorageError: The index is closed.
        """
        values, norms = check_queries(queries, self.dimension)
        k = check_k(k)
        chosen = None if among is None else check_ids(among, name="among")
        with self._lock:
            self._check_open()
            blocks, ids, longest = self._blocks.views(), self._ids, self._longest
            excluded = [self._removed.get(number) for number in range(len(blocks))]
            rows = None if chosen is None else self._rows_of(chosen)
            scanner = self._scanner
        if rows is not None and len(rows) * _GATHER_BELOW > len(ids):
            excluded, rows = self._all_but(rows, len(blocks)), None
        together = QUERIES if len(values) >= FEW_QUERIES else 1
        parts = parts_of(blocks, excluded, rows, queries=together)
        hits: list[list[Hit]] = []
        for first in range(0, len(values), together):
            group = CheckedVectors(values[first : first + together], norms[first : first + together])
            found = find_candidates(parts, group, k, longest=longest, scanner=scanner)
            for positions, query in zip(found, group.values, strict=True):
                hits.append(_rank(blocks, ids, positions if rows is None else rows[positions], query, k))
        return hits

    def _rows_of(self, ids: Sequence[str]) -> Rows:
        found = {self._rows[one] for one in ids if one in self._rows}
        return np.sort(np.fromiter(found, np.int64, len(found)))

    def _all_but(self, rows: Rows, blocks: int) -> list[Mask | None]:
        mask = np.ones((blocks, self._blocks.rows_per_block), np.bool_)
        mask.reshape(-1)[rows] = False
        return list(mask)

    # --- the end ----------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("The vector index is closed; open it again")

    def _check_writable(self) -> None:
        self._check_open()
        if self._files is not None and self._files.read_only:
            raise StorageError("The vector index was opened with read_only=True; open it for writing to change it")

    def close(self) -> None:
        """Flush and close the files and release the lock; a closed index takes no more calls.

        Raises:
            StorageError: What was written cannot be flushed to disk.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._scanner = Scanner()  # the threads of the old one end with the searches that still use it
            if self._files is None:
                return
            try:
                if not self._files.read_only:
                    self._files.flush()
            finally:
                self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _rank(blocks: list[Matrix], ids: list[str], rows: Rows, query: Matrix, k: int) -> list[Hit]:
    scores = exact_scores(blocks, rows, query)
    ranked = sorted((-score, ids[row]) for row, score in zip(rows.tolist(), scores, strict=True))
    return [Hit(one, 0.0 - negated) for negated, one in ranked[:k]]  # a difference, for a negation gives -0.0
