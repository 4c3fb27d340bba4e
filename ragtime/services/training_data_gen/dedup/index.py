"""The index that remembers what was kept, and tells of everything else what it repeats."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextEncoder
from ragtime.services.training_data_gen.dedup.files import DIGEST_BYTES, DedupFiles
from ragtime.services.training_data_gen.dedup.matches import (
    EXACT,
    MEANT,
    NEAR,
    RUNGS,
    Duplicate,
    Kept,
    Matches,
)
from ragtime.services.training_data_gen.dedup.meaning import MeaningRung
from ragtime.services.training_data_gen.dedup.minhash import band_keys, bands_for, similarities, sketches_of
from ragtime.services.training_data_gen.dedup.rows import Rows
from ragtime.services.training_data_gen.dedup.runs import Entries, entries_of, find_rows, merge_runs
from ragtime.services.training_data_gen.dedup.shingles import (
    Hashes,
    ShingleSets,
    distinct_sorted,
    keep_apart,
    normalize_texts,
    shingle_texts,
)
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.storage.vectors.arguments import Matrix
else:
    np = LazyModule("numpy")

__all__ = ["DedupIndex"]

_PAIRS = 4096  # that are verified at once
_AT_ONCE = 1024  # texts that are compared with each other at once; even if all share a band, their pairs stay few

_log = get_logger(__name__)


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
        self._new = Rows()
        self._runs: list[Entries] = []
        self._batches = 0
        self._closed = False

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        threshold: float = 0.8,
        encoder: TextEncoder | None = None,
        cosine: float = 0.95,
        durable: bool = True,
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
            durable: Whether a batch that counts is on the disk, and so outlives a power failure. Without, writing it
                there is left to the system: a process that is killed loses nothing, but after a power failure the
                folder must be thrown away. That is for working folders that are made anew anyway.

        Returns:
            The index; close it, or use it in a ``with`` statement.

        Raises:
            StorageError: The index was made with other settings or another encoder, another process has it open, or the
                folder cannot be read or written.
            InvalidArgumentError: An argument has a wrong value.
        """
        index = cls(threshold=threshold, encoder=encoder, cosine=cosine)
        with log_operation(_log, "open_dedup_index", folder=str(folder)) as operation:
            index._files = DedupFiles(Path(folder), index._settings, durable=durable)
            index._runs, index._batches = index._files.runs, index._files.header["batches"]
            index._new = Rows(index._files.header["rows"])
            if index._meaning is not None:
                try:
                    index._meaning.open(Path(folder) / "vectors", rows=len(index))
                except BaseException:
                    index.close()
                    raise
            operation.add(texts=len(index), batches=index._batches)
        return index

    def __len__(self) -> int:
        return self._new.first + len(self._new)

    @property
    def batches(self) -> int:
        """How many batches were added, so that whoever was interrupted knows where to go on."""
        return self._batches

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
                    self._new, self._runs = Rows(len(self)), self._files.runs
            except BaseException:
                self._new.truncate(state[0])
                self._runs = state[1]
                if self._meaning is not None:
                    self._meaning.forget(len(self))
                raise
            self._batches += 1
            operation.add(kept=sum(isinstance(one, Kept) for one in found))
        return found

    def _add(self, batch: Sequence[tuple[str, str]], scopes: Sequence[str]) -> list[Kept | Duplicate]:
        texts = normalize_texts([text for _, text in batch])
        digests = [
            hashlib.blake2b(
                f"{scope}\0{text}".encode("utf-8", "surrogatepass") if scope else text.encode("utf-8", "surrogatepass"),
                digest_size=DIGEST_BYTES,
            ).digest()
            for text, scope in zip(texts, scopes, strict=True)
        ]
        leaders: dict[bytes, int] = {}  # of equal texts, the one with the smallest id
        for place, digest in enumerate(digests):
            if batch[leaders.setdefault(digest, place)][0] > batch[place][0]:
                leaders[digest] = place
        distinct = sorted(leaders)
        decided: dict[bytes, Kept | Duplicate] = {}
        for first in range(0, len(distinct), _AT_ONCE):
            some = distinct[first : first + _AT_ONCE]
            places = [leaders[digest] for digest in some]
            verdicts = self._judge(
                [batch[place][0] for place in places],
                [texts[place] for place in places],
                some,
                [scopes[place] for place in places],
            )
            decided.update(zip(some, verdicts, strict=True))
        return [
            decided[digest] if leaders[digest] == place else _repetition(decided[digest], batch[place][0])
            for place, digest in enumerate(digests)
        ]

    def _judge(
        self, ids: list[str], texts: list[str], digests: list[bytes], scopes: list[str]
    ) -> list[Kept | Duplicate]:
        """Decide on distinct texts, one after the other, each against all that were kept before it."""
        sets = shingle_texts(texts)
        if any(scopes):
            sets = keep_apart(sets, scopes)
        sketches = sketches_of(sets)
        keys = self._keys(sets, digests)
        first = len(self)  # rows from here on are places in this call, as if all were kept
        matches = self._candidates(keys, digests, sketches, first)
        vectors: Matrix | None = None
        if self._meaning is not None:
            vectors, meant = self._compare(self._meaning, texts, matches, first)
            matches = matches.joined(meant)
        dropped: dict[int, tuple[int, int, float]] = {}
        for place, rung, row, score in matches.best_first():
            if place not in dropped and (row < first or row - first not in dropped):
                dropped[place] = rung, row, score
        kept = np.ones(len(ids), np.bool_)
        kept[list(dropped)] = False
        rows = (first + np.cumsum(kept) - 1).tolist()  # of those that are kept
        places = np.flatnonzero(kept)
        chosen = places.tolist()
        self._new.extend([digests[place] for place in chosen], [ids[place] for place in chosen], sketches.take(places))
        if chosen:
            new = entries_of(keys[places], np.arange(first, first + len(chosen)))
            self._runs = merge_runs([*self._runs, new])
            if self._meaning is not None and vectors is not None:
                self._meaning.keep([rows[place] for place in chosen], vectors[places])
        verdicts: list[Kept | Duplicate] = [Kept(one) for one in ids]
        for place, (rung, row, score) in dropped.items():
            keeper = row if row < first else rows[row - first]
            verdicts[place] = Duplicate(ids[place], self._holder(keeper).id(keeper), RUNGS[rung], score)
        return verdicts

    def _keys(self, sets: ShingleSets, digests: list[bytes]) -> Hashes:
        """Return the band keys of texts, after one that stands for the whole text."""
        keys = np.empty((len(digests), self._bands.number + 1), np.uint32)
        keys[:] = np.frombuffer(b"".join(digests), "<u4")[:: DIGEST_BYTES // 4, None]
        sizes = np.diff(sets.offsets)
        there = np.flatnonzero(sizes)  # a blank text has no shingles
        if len(there):
            offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes[there])])
            keys[there, 1:] = band_keys(ShingleSets(sets.hashes, offsets), self._bands)
        return keys

    def _candidates(self, keys: Hashes, digests: list[bytes], sketches: ShingleSets, first: int) -> Matches:
        """Find the rows of equal texts, and those that share enough shingles."""
        runs = [*self._runs, entries_of(keys, np.arange(first, first + len(keys)))]
        places, rows = find_rows(runs, keys)
        earlier = rows < first + places
        pairs = distinct_sorted((places[earlier] << 32) | rows[earlier])
        places, rows = pairs >> 32, pairs & 0xFFFFFFFF
        kept = rows < first
        same = np.zeros(len(pairs), np.bool_)
        same[kept] = [
            self._holder(row).digest(row) == digests[place]
            for place, row in zip(places[kept].tolist(), rows[kept].tolist(), strict=True)
        ]
        dropped = np.zeros(len(keys), np.bool_)
        dropped[places[same]] = True
        scores = same.astype(np.float64)
        # By row: what repeats a text that is kept is known before others would be compared with it, which need not be
        # done. So many texts that are all alike cost as many comparisons as there are, not their square.
        left = np.lexsort((places, rows))
        left = left[~dropped[places[left]]]
        while len(left):
            some, left = left[:_PAIRS], left[_PAIRS:]
            of = rows[some].tolist()
            scores[some] = similarities(
                [sketches.of(place) for place in places[some].tolist()],
                [sketches.of(row - first) if row >= first else self._holder(row).sketch(row) for row in of],
            )
            like = some[scores[some] >= self.threshold]
            for place, row in zip(places[like].tolist(), rows[like].tolist(), strict=True):
                dropped[place] |= row < first or not dropped[row - first]
            left = left[(rows[left] < first) | ~dropped[np.maximum(rows[left] - first, 0)]]
        alike = scores >= self.threshold
        return Matches(places[alike], np.where(same[alike], EXACT, NEAR), rows[alike], scores[alike])

    def _compare(self, meaning: MeaningRung, texts: list[str], matches: Matches, first: int) -> tuple[Matrix, Matches]:
        """Embed what is not known as a duplicate of an earlier batch, and find what it is too like."""
        unknown = np.ones(len(texts), np.bool_)
        unknown[matches.places[matches.rows < first]] = False
        open_ones = np.flatnonzero(unknown).tolist()
        embedded, found = meaning.compare([texts[place] for place in open_ones], first_row=first)
        vectors = np.zeros((len(texts), embedded.shape[1]), np.float32)
        vectors[unknown] = embedded
        meant = [
            (place, MEANT, row if row < first else first + open_ones[row - first], score)
            for place, some in zip(open_ones, found, strict=True)
            for row, score in some
        ]
        return vectors, Matches.of(meant)

    def _holder(self, row: int) -> Rows | DedupFiles:
        return self._new if self._files is None or row >= self._new.first else self._files

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


def _repetition(verdict: Kept | Duplicate, one: str) -> Duplicate:
    """Say of a text what was said of the one in its batch that it equals."""
    return Duplicate(one, verdict.id, "exact", 1.0) if isinstance(verdict, Kept) else verdict._replace(id=one)
