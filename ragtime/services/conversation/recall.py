"""Finding earlier turns of a conversation: by their words and by their meaning, together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ragtime.errors import BackendCancelledError, BackendError, InvalidArgumentError, MissingExtraError
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import TextEncoder, TextRole
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.fusion import CANDIDATES, combine_scores
from ragtime.services.conversation.lexical import LexicalIndex
from ragtime.services.conversation.recall_keys import (
    NEIGHBOUR_WEIGHTS,
    key_stems,
    key_text,
    mix_vectors,
    neighbours_of,
)
from ragtime.services.conversation.time_words import find_interval
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["Recall", "RecalledTurn", "TurnRecall"]

_log = get_logger(__name__)
_REACH = len(NEIGHBOUR_WEIGHTS)


@dataclass(frozen=True, slots=True)
class RecalledTurn:
    """An earlier turn that has to do with a question.

    Attributes:
        interaction: The turn.
        score: What it is ranked by: cosine plus share of the words, and a boost from the time that the question names.
        cosine: How near its meaning is, -1 to 1; ``None`` when no model could be asked.
        words: The share of the question's words that it holds, weighed by how rare they are, 0 to 1.
        in_time: Whether it is from the time that the question names.
        place: Where it stands in the active branch, from 0.
    """

    interaction: Interaction
    score: float
    cosine: float | None
    words: float
    in_time: bool
    place: int


@dataclass(frozen=True)
class Recall:
    """What was found.

    Attributes:
        turns: The turns, the best first.
        degraded: Why only the words were searched; ``None`` when all went well.
    """

    turns: tuple[RecalledTurn, ...]
    degraded: str | None = None


class TurnRecall:
    """The search index of one branch, brought up to date when something is searched.

    Each turn is embedded once. Turns are found by keys that hold their neighbours, too; see ``recall_keys``.
    """

    def __init__(self) -> None:
        """Start without turns."""
        self._lexical = LexicalIndex(weights=NEIGHBOUR_WEIGHTS)
        self._own: _Rows | None = None
        self._mixed: _Rows | None = None
        self._fingerprint = ""

    def find(
        self,
        path: Sequence[Interaction],
        query: str,
        *,
        k: int,
        encoder: Callable[[], TextEncoder],
        now: datetime,
        degrade: bool = False,
    ) -> Recall:
        """Find turns.

        Args:
            path: The branch: as before, or longer.
            query: The question.
            k: Most turns to return.
            encoder: Returns what embeds the question, and the turns that are new.
            now: When the question is asked, for words such as "yesterday".
            degrade: Whether to search the words alone when the model fails, instead of raising.

        Returns:
            The turns, the best first; equally good ones in their order.

        Raises:
            InvalidArgumentError: The question is blank, or `k` is not positive.
            BackendError: The model failed.
            MissingExtraError: The model's package is not installed.
            BackendCancelledError: The caller's own signal stopped the model, whatever `degrade` says.
        """
        if not query.strip():
            raise InvalidArgumentError("A recall needs a question, and it is blank")
        if k < 1:
            raise InvalidArgumentError(f"k is at least 1, found {k}")
        if not path:
            return Recall(())
        for place in range(len(self._lexical), len(path)):
            self._lexical.add(key_stems(path[place]), previous=place - 1 if place else None)
        degraded = None
        cosines = None
        try:
            cosines = self._cosines(path, query, encoder())
        except BackendCancelledError:
            raise
        except (BackendError, MissingExtraError) as error:
            if not degrade:
                raise
            degraded = f"the model failed ({type(error).__name__}); only words were searched"
            _log.warning("Recall searches words only", error=type(error).__name__)
        return Recall(self._ranked(path, query, k, cosines, now), degraded)

    def _cosines(self, path: Sequence[Interaction], query: str, encoder: TextEncoder) -> npt.NDArray[np.float32]:
        vector = _encoded(encoder, [query], "query")[0]
        found: npt.NDArray[np.float32] = self._vectors(path, encoder) @ vector
        return found

    def _vectors(self, path: Sequence[Interaction], encoder: TextEncoder) -> npt.NDArray[np.float32]:
        """Return the vectors of all keys; only new turns are embedded, and only keys that they touch mixed anew."""
        fingerprint = encoder.fingerprint("passage")
        if self._own is None or self._mixed is None or self._fingerprint != fingerprint:
            self._own, self._mixed = _Rows(encoder.dimension), _Rows(encoder.dimension)
            self._fingerprint = fingerprint
        known = len(self._mixed)
        if known < len(path):
            new = _encoded(encoder, [key_text(turn) for turn in path[known:]], "passage")
            self._own.put(known, new)
            # A key holds up to three turns on both sides, so those before the new ones change, too.
            first = max(0, known - _REACH)
            start = max(0, first - _REACH)
            tail = self._own.rows[start:]
            around = neighbours_of(np.arange(-1, len(tail) - 1, dtype=np.int32), _REACH)
            self._mixed.put(first, mix_vectors(tail, around)[first - start :])
        return self._mixed.rows

    def _ranked(
        self,
        path: Sequence[Interaction],
        query: str,
        k: int,
        cosines: npt.NDArray[np.float32] | None,
        now: datetime,
    ) -> tuple[RecalledTurn, ...]:
        scores = self._lexical.scores(query)
        wanted = max(CANDIDATES, k)
        union = {position for position, _ in scores.best(wanted)}
        if cosines is not None:
            union |= set(_best(cosines, wanted))
        positions = np.array(sorted(union), dtype=np.int64)
        shares = scores.shares(positions)
        near = cosines[positions] if cosines is not None else np.zeros(len(positions), dtype=np.float32)
        interval = find_interval(query, now)
        in_time = np.array([path[int(place)].created_at in interval for place in positions]) if interval else None
        fused = combine_scores(positions, near, shares, in_time=in_time)
        row = {int(position): index for index, position in enumerate(positions)}
        return tuple(
            RecalledTurn(
                interaction=path[one.position],
                score=one.score,
                cosine=float(near[row[one.position]]) if cosines is not None else None,
                words=float(shares[row[one.position]]),
                in_time=bool(in_time[row[one.position]]) if in_time is not None else False,
                place=one.position,
            )
            for one in fused[:k]
        )


def _encoded(encoder: TextEncoder, texts: Sequence[str], role: TextRole) -> npt.NDArray[np.float32]:
    vectors = encoder.encode(texts, role=role)
    if vectors.shape != (len(texts), encoder.dimension) or not np.isfinite(vectors).all():
        raise BackendError(f"The encoder gave no finite vector of {encoder.dimension} for each of {len(texts):,} texts")
    return vectors


class _Rows:
    """Vectors that become more, with room for further ones, so that one more is no copy of all."""

    def __init__(self, dimension: int) -> None:
        self._table = np.empty((0, dimension), dtype=np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> npt.NDArray[np.float32]:
        return self._table[: self._count]

    def put(self, start: int, rows: npt.NDArray[np.float32]) -> None:
        """Write rows from `start`, in the place of those after it."""
        count = start + len(rows)
        if count > len(self._table):
            grown = np.empty((max(count, self._count + self._count // 4), self._table.shape[1]), dtype=np.float32)
            grown[:start] = self._table[:start]
            self._table = grown
        self._table[start:count] = rows
        self._count = count


def _best(scores: npt.NDArray[np.float32], k: int) -> list[int]:
    """Return the places of the `k` largest, equal ones by place."""
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        places = np.flatnonzero(scores >= least)
    else:
        places = np.arange(len(scores))
    order = np.lexsort((places, -scores[places]))[:k]
    return [int(place) for place in places[order]]
