"""The index that remembers what was kept, and tells of everything else what it repeats."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextEncoder
from ragtime.services.training_data_gen.dedup.files import DIGEST_BYTES, DedupFiles, NewRow
from ragtime.services.training_data_gen.dedup.meaning import MeaningRung
from ragtime.services.training_data_gen.dedup.minhash import band_keys, bands_for, similarities, sketch
from ragtime.services.training_data_gen.dedup.runs import Entries, entries_of, find_rows, merge_runs
from ragtime.services.training_data_gen.dedup.shingles import (
    Hashes,
    ShingleSets,
    keep_apart,
    normalize_text,
    shingle_texts,
)
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.storage.vectors.arguments import Matrix
else:
    np = LazyModule("numpy")

__all__ = ["DedupIndex", "Duplicate", "Kept", "Rung"]

Rung = Literal["exact", "minhash", "embedding"]
"""What found a duplicate."""

_RUNGS: tuple[Rung, ...] = ("exact", "minhash", "embedding")

Found = list[tuple[int, float]]

_PAIRS = 4096  # that are verified at once
_AT_ONCE = 512  # texts that are compared with each other at once; even if all are alike, their pairs stay few

_log = get_logger(__name__)


class Kept(NamedTuple):
    """A text that repeats nothing.

    Attributes:
        id: Its id.
    """

    id: str


class Duplicate(NamedTuple):
    """A text that repeats one that was kept.

    Attributes:
        id: Its id.
        of: Id of the text that was kept.
        rung: What found it: the same normalised text, enough shared shingles, or nearly the same vector.
        similarity: 1, their Jaccard similarity, or their cosine.
    """

    id: str
    of: str
    rung: Rung
    similarity: float


class DedupIndex:
    """Finds duplicates among texts that come batch by batch.

        >>> index = DedupIndex()
        >>> index.add([("a", "Where are the keys?"), ("b", "where are  the keys?")])
        [Kept(id='a'), Duplicate(id='b', of='a', rung='exact', similarity=1.0)]

    Within a batch texts are taken in the order of their content hashes, equal ones in that of their ids, whatever their
    order in the batch. Each is compared with all that were kept before it, and is kept itself when it repeats none of
    them. So the result depends on the batches and their order alone: an index that is closed and opened between two
    batches gives what one gives that was not, but other batches of the same texts may give other keepers.

    This class keeps everything in memory; :meth:`open` gives an index that rests in a folder. One thread at a time may
    use it.

    Attributes:
        threshold: Jaccard similarity from which a text is a duplicate.
    """

    def __init__(self, *, threshold: float = 0.8, encoder: TextEncoder | None = None, cosine: float = 0.95) -> None:
        """Make an empty index in memory.

        Args:
            threshold: Jaccard similarity from which a text is a duplicate, over 0 and at most 1.
            encoder: Embeds what the first two rungs keep; ``None`` leaves the third out.
            cosine: Cosine from which a text is a duplicate, with an encoder.
        """
        for name, value in (("threshold", threshold), ("cosine", cosine)):
            if not 0 < value <= 1:
                raise InvalidArgumentError(f"{name} must be over 0 and at most 1, found {value!r}")
        self.threshold = threshold
        self._bands = bands_for(threshold)
        self._meaning = None if encoder is None else MeaningRung(encoder, cosine)
        self._files: DedupFiles | None = None
        self._settings: dict[str, float | str | None] = {
            "threshold": threshold,
            "cosine": None if encoder is None else cosine,
            "encoder": None if encoder is None else encoder.fingerprint("passage"),
        }
        self._new: list[NewRow] = []
        self._runs: list[Entries] = []
        self._batches = 0
        self._closed = False

    @classmethod
    def open(
        cls, folder: str | Path, *, threshold: float = 0.8, encoder: TextEncoder | None = None, cosine: float = 0.95
    ) -> Self:
        """Open the index in a folder, and make it when there is none.

        A batch counts when :meth:`add` has returned; what a killed process left of one is cut off. The index takes up
        to a kilobyte of the disk for each text that is kept, and with an encoder its vector besides; in memory it takes
        what one batch needs.

        Args:
            folder: Folder of the index, its own.
            threshold: As for the constructor.
            encoder: As for the constructor.
            cosine: As for the constructor.

        Returns:
            The index; close it, or use it in a ``with`` statement.

        Raises:
            StorageError: The index was made with other settings or another encoder, another process has it open, or the
                folder cannot be read or written.
            InvalidArgumentError: An argument has a wrong value.
        """
        index = cls(threshold=threshold, encoder=encoder, cosine=cosine)
        with log_operation(_log, "open_dedup_index", folder=str(folder)) as operation:
            index._files = DedupFiles(Path(folder), index._settings)
            index._runs, index._batches = index._files.runs, index._files.header["batches"]
            if index._meaning is not None:
                try:
                    index._meaning.open(Path(folder) / "vectors", rows=len(index))
                except BaseException:
                    index.close()
                    raise
            operation.add(texts=len(index), batches=index._batches)
        return index

    def __len__(self) -> int:
        return self._committed + len(self._new)

    @property
    def batches(self) -> int:
        """How many batches were added, so that whoever was interrupted knows where to go on."""
        return self._batches

    @property
    def _committed(self) -> int:
        return self._files.header["rows"] if self._files is not None else 0

    def add(self, items: Iterable[tuple[str, str]], *, scopes: Sequence[str] | None = None) -> list[Kept | Duplicate]:
        """Take a batch.

        Args:
            items: Pairs of an id and a text.
            scopes: A scope for each; by words, texts of different scopes are never duplicates, such as questions about
                different passages. ``None`` means one for all.

        Returns:
            What became of each, in the order of the batch.

        Raises:
            StorageError: The index is closed, or cannot be written; then the batch does not count.
            BackendError: The encoder failed; the batch does not count.
        """
        if self._closed:
            raise StorageError("The deduplication index is closed; open it again")
        batch = list(items)
        scopes = [""] * len(batch) if scopes is None else scopes
        if len(scopes) != len(batch):
            raise InvalidArgumentError(f"scopes must be as many as items, found {len(scopes)} and {len(batch)}")
        with log_operation(_log, "deduplicate", level=logging.DEBUG, texts=len(batch)) as operation:
            state = (len(self._new), self._runs)
            try:
                found = self._add(batch, scopes)
                if self._files is not None:
                    self._files.commit(self._new, self._runs)
                    self._new, self._runs = [], self._files.runs
            except BaseException:
                del self._new[state[0] :]
                self._runs = state[1]
                if self._meaning is not None:
                    self._meaning.forget(len(self))
                raise
            self._batches += 1
            operation.add(kept=sum(isinstance(one, Kept) for one in found))
        return found

    def _add(self, batch: Sequence[tuple[str, str]], scopes: Sequence[str]) -> list[Kept | Duplicate]:
        texts = [normalize_text(text) for _, text in batch]
        digests = [
            hashlib.blake2b(
                f"{scope}\0{text}".encode("utf-8", "surrogatepass") if scope else text.encode("utf-8", "surrogatepass"),
                digest_size=DIGEST_BYTES,
            ).digest()
            for text, scope in zip(texts, scopes, strict=True)
        ]
        order = sorted(range(len(batch)), key=lambda place: (digests[place], batch[place][0], place))
        equal: defaultdict[bytes, list[int]] = defaultdict(list)
        for place in order:
            equal[digests[place]].append(place)
        decided: dict[int, Kept | Duplicate] = {}
        distinct = list(equal.items())
        for first in range(0, len(distinct), _AT_ONCE):
            some = distinct[first : first + _AT_ONCE]
            leaders = [places[0] for _, places in some]
            verdicts = self._judge(
                [batch[place][0] for place in leaders],
                [texts[place] for place in leaders],
                [one for one, _ in some],
                [scopes[place] for place in leaders],
            )
            for (_, places), verdict in zip(some, verdicts, strict=True):
                decided[places[0]] = verdict
                repeated = Duplicate("", verdict.id, "exact", 1.0) if isinstance(verdict, Kept) else verdict
                decided.update((place, repeated._replace(id=batch[place][0])) for place in places[1:])
        return [decided[place] for place in range(len(batch))]

    def _judge(
        self, ids: list[str], texts: list[str], digests: list[bytes], scopes: list[str]
    ) -> list[Kept | Duplicate]:
        """Decide on distinct texts, one after the other, each against all that were kept before it."""
        sets = shingle_texts(texts)
        if any(scopes):
            sets = keep_apart(sets, scopes)
        sketches = [sketch(sets.of(place)) for place in range(len(texts))]
        keys = self._keys(sets, digests)
        first = len(self)  # rows from here on are places in this call, as if all were kept
        exact, alike = self._candidates(keys, digests, sketches, first)
        vectors, meant = self._compare(texts, exact, alike, first)
        rows: dict[int, int] = {}  # of those that are kept, by the rows they would have had
        verdicts: list[Kept | Duplicate] = []
        for place, one in enumerate(ids):
            for rung, some in zip(_RUNGS, (exact[place], alike[place], meant[place]), strict=True):
                there = [(row, score) for row, score in some if row < first or row in rows]
                if there:
                    row, score = min(there, key=lambda pair: (-pair[1], pair[0]))
                    verdicts.append(Duplicate(one, self._id(rows.get(row, row)), rung, score))
                    break
            else:
                rows[first + place] = len(self)
                self._new.append((digests[place], one, sketches[place]))
                verdicts.append(Kept(one))
        kept = np.fromiter((row - first for row in rows), np.int64, len(rows))
        if len(kept):
            new = entries_of(keys[kept], np.fromiter(rows.values(), np.int64, len(rows)))
            self._runs = merge_runs([*self._runs, new])
            if self._meaning is not None:
                self._meaning.keep(list(rows.values()), np.stack([vectors[place] for place in kept.tolist()]))
        return verdicts

    def _keys(self, sets: ShingleSets, digests: list[bytes]) -> Hashes:
        """Return the band keys of texts, after one that stands for the whole text."""
        keys = np.empty((len(digests), self._bands.number + 1), np.uint32)
        keys[:] = np.array([int.from_bytes(digest[:4], "little") for digest in digests], np.uint32)[:, None]
        sizes = np.diff(sets.offsets)
        there = np.flatnonzero(sizes)  # a blank text has no shingles
        if len(there):
            offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[there])])
            keys[there, 1:] = band_keys(ShingleSets(sets.hashes, offsets), self._bands)
        return keys

    def _candidates(
        self, keys: Hashes, digests: list[bytes], sketches: list[Hashes], first: int
    ) -> tuple[list[Found], list[Found]]:
        """Find for each text the rows of equal texts, and those that share enough shingles."""
        runs = [*self._runs, entries_of(keys, np.arange(first, first + len(keys)))]
        places, rows = find_rows(runs, keys)
        earlier = rows < first + places
        pairs = np.unique((places[earlier] << 32) | rows[earlier])
        places, rows = pairs >> 32, pairs & 0xFFFFFFFF
        exact: list[Found] = [[] for _ in digests]
        alike: list[Found] = [[] for _ in digests]
        near: list[tuple[int, int]] = []
        for place, row in zip(places.tolist(), rows.tolist(), strict=True):
            if row < first and self._digest(row) == digests[place]:
                exact[place].append((row, 1.0))
            else:
                near.append((place, row))
        for start in range(0, len(near), _PAIRS):
            some = near[start : start + _PAIRS]
            scores = similarities(
                [sketches[place] for place, _ in some],
                [sketches[row - first] if row >= first else self._sketch(row) for _, row in some],
            )
            for (place, row), score in zip(some, scores.tolist(), strict=True):
                if score >= self.threshold:
                    alike[place].append((row, score))
        return exact, alike

    def _compare(
        self, texts: list[str], exact: list[Found], alike: list[Found], first: int
    ) -> tuple[dict[int, Matrix], list[Found]]:
        """Embed what is not known as a duplicate of an earlier batch, and find what it is too like."""
        meant: list[Found] = [[] for _ in texts]
        if self._meaning is None:
            return {}, meant
        known = [any(row < first for row, _ in [*exact[place], *alike[place]]) for place in range(len(texts))]
        open_ones = [place for place in range(len(texts)) if not known[place]]
        vectors, found = self._meaning.compare([texts[place] for place in open_ones], first_row=first)
        for place, some in zip(open_ones, found, strict=True):
            meant[place] = [(row if row < first else first + open_ones[row - first], score) for row, score in some]
        return dict(zip(open_ones, vectors, strict=True)), meant

    def _digest(self, row: int) -> bytes:
        committed = self._committed
        return self._new[row - committed][0] if self._files is None or row >= committed else self._files.digest(row)

    def _id(self, row: int) -> str:
        committed = self._committed
        return self._new[row - committed][1] if self._files is None or row >= committed else self._files.id(row)

    def _sketch(self, row: int) -> Hashes:
        committed = self._committed
        return self._new[row - committed][2] if self._files is None or row >= committed else self._files.sketch(row)

    def close(self) -> None:
        """Release the files; a closed index takes no more batches."""
        self._closed = True
        if self._files is not None:
            self._files.close()
        if self._meaning is not None:
            self._meaning.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
