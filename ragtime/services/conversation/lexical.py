"""Full-text search over the turns of a scope, exact and in memory."""

from __future__ import annotations

import math
import threading
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragtime.errors import InvalidArgumentError
from ragtime.services.conversation.bm25 import LexicalScores, bm25_scores, stems_in
from ragtime.services.conversation.recall_keys import neighbours_of
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["LexicalIndex"]

_COUNT = "i"  # type code of 32-bit integers


class _Keys(NamedTuple):
    """What all queries need between two changes; lengths are those of keys, in stems."""

    neighbours: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.float64]
    average: float


class LexicalIndex:
    """BM25 over texts that are added one by one and held in memory; exact at any time, safe to use from threads.

    With weights, a text is found by its neighbours' stems, too: a stem that stands `f` times in the turn before it
    counts as ``weights[0] * f`` occurrences in itself. Only own stems are stored; keys are put together by a query, so
    that neither adding nor removing a text touches others.

        >>> index = LexicalIndex()
        >>> index.add("A red bus"), index.add("Where does the bus stop?"), index.add("Here.")
        (0, 1, 2)
        >>> [position for position, _ in index.search("the bus stops", k=2)]
        [1, 0]
    """

    def __init__(self, *, weights: Sequence[float] = ()) -> None:
        """Start without texts.

        Args:
            weights: What neighbours count, by their distance of 1, 2, … texts on both sides, each above 0; none means
                that each text is found by itself alone.
        """
        if not all(0 < weight < math.inf for weight in weights):
            raise InvalidArgumentError(f"weights must be numbers above 0, found {list(weights)}")
        self._weights = tuple(weights)
        self._lock = threading.Lock()
        self._postings: dict[str, tuple[array[int], array[int]]] = {}  # positions, ascending, and frequencies
        self._lengths = array(_COUNT)
        self._previous = array(_COUNT)
        self._removed = array("b")
        self._count = 0
        self._keys: _Keys | None = None

    def __len__(self) -> int:
        return self._count

    def add(self, text: str | Sequence[str], *, previous: int | None = None) -> int:
        """Add a text.

        Args:
            text: The text, or its stems as ``ragtime.utils.stems.stems_of`` makes them.
            previous: Position of the text before it in its conversation; ``None`` when it is the first there.

        Returns:
            Its position: one more than that of the text added before it.

        Raises:
            InvalidArgumentError: There is no text at `previous`.
        """
        stems = stems_in(text)
        with self._lock:
            if previous is not None:
                self._check(previous)
            position = len(self._lengths)
            for stem, frequency in Counter(stems).items():
                positions, frequencies = self._postings.setdefault(stem, (array(_COUNT), array(_COUNT)))
                positions.append(position)
                frequencies.append(frequency)
            self._lengths.append(len(stems))
            self._previous.append(-1 if previous is None else previous)
            self._removed.append(0)
            self._count += 1
            self._keys = None
        return position

    def remove(self, positions: Iterable[int]) -> None:
        """Remove texts: from then on all is as if they had never been added, but for the positions of the others.

        Those that follow a removed text follow the one before it. Takes as long as the index is large, however many
        texts are removed; give those that go at the same time together.

        Args:
            positions: The texts.

        Raises:
            InvalidArgumentError: There is no text at one of them; nothing is removed then.
        """
        with self._lock:
            gone = set(positions)
            for position in gone:
                self._check(position)
            for position in sorted(gone):
                self._lengths[position] = 0
                self._removed[position] = 1
            for position, before in enumerate(self._previous):
                # Ascending, so that the one before has been joined to what remains already.
                if before in gone:
                    self._previous[position] = self._previous[before]
            for position in gone:
                self._previous[position] = -1
            kept = np.frombuffer(self._removed, np.int8) == 0
            for stem in list(self._postings):
                self._keep(stem, kept)
            self._count -= len(gone)
            self._keys = None

    def _keep(self, stem: str, kept: npt.NDArray[np.bool_]) -> None:
        positions, frequencies = (np.frombuffer(part, np.int32) for part in self._postings[stem])
        keep = kept[positions]
        if not keep.any():
            del self._postings[stem]
        elif not keep.all():
            self._postings[stem] = (
                array(_COUNT, positions[keep].tobytes()),
                array(_COUNT, frequencies[keep].tobytes()),
            )

    def _check(self, position: int) -> None:
        if not 0 <= position < len(self._removed) or self._removed[position]:
            raise InvalidArgumentError(f"There is no text at position {position}; positions are what add returned")

    def search(self, query: str | Sequence[str], k: int) -> list[tuple[int, float]]:
        """Find the texts that match best.

        Args:
            query: The query, or its stems; one that stands there twice counts twice.
            k: Most to return.

        Returns:
            Positions and scores, the best first; of equal scores, the smaller position first.

        Raises:
            InvalidArgumentError: `k` is negative.
        """
        if k < 0:
            raise InvalidArgumentError(f"k must be a number from 0, found {k}")
        return self.scores(query).best(k)

    def scores(self, query: str | Sequence[str]) -> LexicalScores:
        """Score every text that matches; `query` as for :meth:`search`."""
        counted = Counter(stems_in(query))
        with self._lock:
            keys = self._keys = self._keys or self._put_keys_together()
            # Copies: an array cannot grow while numpy looks at it.
            found = {
                stem: (np.array(self._postings[stem][0]), np.array(self._postings[stem][1]))
                for stem in counted
                if stem in self._postings
            }
            count = self._count
        matched = np.zeros(len(keys.lengths) + 1, np.bool_)  # the last place stands for "no neighbour"
        for positions, _ in found.values():
            matched[positions] = True
        reached = matched.copy()
        for row in keys.neighbours:
            reached[:-1] |= matched[row]
        places = np.flatnonzero(reached[:-1])
        around = keys.neighbours[:, places].astype(np.intp)  # once, not anew for each stem
        dense = np.zeros(len(matched))
        frequencies: dict[str, npt.NDArray[np.float64]] = {}
        for stem, (positions, own) in found.items():
            dense[positions] = own
            frequencies[stem] = dense[places]
            for row, neighbours in enumerate(around):
                frequencies[stem] += self._weights[row // 2] * dense[neighbours]
            dense[positions] = 0
        return bm25_scores(counted, frequencies, places, keys.lengths[places], count, keys.average)

    def _put_keys_together(self) -> _Keys:
        neighbours = neighbours_of(np.array(self._previous, np.int32), len(self._weights))
        own = np.append(np.array(self._lengths, np.int64), 0)
        lengths = own[:-1].astype(np.float64)
        total = float(own.sum())
        for row, places in enumerate(neighbours):
            around = own[places]
            lengths += self._weights[row // 2] * around
            total += self._weights[row // 2] * float(around.sum())  # of whole numbers: exact in any order
        return _Keys(neighbours, lengths, total / max(1, self._count))
