"""Choosing the sentences of a summary: centrality, and no saying the same thing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ragtime.services.conversation.summaries.pieces import Budget, Piece
from ragtime.services.conversation.summaries.relevance import is_courtesy, lexical_scores, substance, term_vectors
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["CANDIDATES", "choose", "preselect", "rank"]

CANDIDATES = 256
"""Most sentences that are compared with each other, and so embedded, for one summary, however long the conversation."""

STRETCHES = 64
"""Equal parts of a long conversation that are each sure of a candidate, so that none goes unseen."""

_RELEVANCE = 0.5  # lambda of MMR; the rest is what a sentence loses by repeating another
_LENGTH = 0.3  # power of the length by which scores are divided (Lin and Bilmes, 2010): a budget is filled, not a count
_STEPS = 10_000  # of a similarity; vectors of another batch differ by less than one
_SHORTEST = 4.0  # tokens; a shorter sentence gains nothing by it
_FLOOR = 0.1  # centrality that every sentence has, so that none is out of the question
_TAKEN = -(1 << 40)
_ONE_THREAD = 1 << 18  # multiplications up to which OpenBLAS takes one thread
_BLOCKS = 32

Vectors = Callable[[Sequence[Piece]], "npt.NDArray[np.floating]"]
"""Makes vectors of unit length, one row a sentence."""


def choose(
    pieces: Sequence[Piece],
    max_tokens: int,
    budget: Budget,
    vectors: Vectors = term_vectors,
    *,
    exact: bool = True,
) -> list[Piece]:
    """Choose the sentences that say most within a budget.

    Args:
        pieces: All sentences, in the order of the conversation.
        max_tokens: Most tokens of those chosen, written down.
        budget: Counts.
        vectors: Makes vectors of the candidates; is not asked when all sentences fit.
        exact: Whether the text itself is counted in the end, or only its sentences and speakers, which is quicker.

    Returns:
        The chosen ones, in the order of the conversation.
    """
    if budget.fits(pieces, max_tokens, exact=exact):
        return list(pieces)
    pieces = _worth_telling(pieces)
    if budget.fits(pieces, max_tokens, exact=exact):
        return list(pieces)
    scores = lexical_scores(pieces)
    candidates = preselect(pieces, scores)
    chosen = [pieces[place] for place in candidates]
    order = rank(chosen, vectors(chosen), [budget.tokens(piece) for piece in chosen])

    def ranked() -> Iterator[Piece]:
        yield from (chosen[place] for place in order)
        rest = set(range(len(pieces))).difference(candidates)  # a large budget has room for more
        yield from (pieces[place] for place in sorted(rest, key=lambda place: (-round(scores[place], 9), place)))

    return budget.fill(ranked(), max_tokens, exact=exact)


def _worth_telling(pieces: Sequence[Piece]) -> Sequence[Piece]:
    """Leave out courtesies, and what the same speaker says again word for word; all stay if nothing else was said."""
    told: set[tuple[str, str]] = set()
    kept: list[Piece] = []
    for piece in pieces:
        said = (piece.speaker, piece.text.casefold())
        if said not in told and not is_courtesy(piece):
            told.add(said)
            kept.append(piece)
    return kept or pieces


def preselect(pieces: Sequence[Piece], scores: Sequence[float]) -> list[int]:
    """Choose the candidates by their words: the best of every stretch of the conversation, then the best of all.

    Args:
        pieces: All sentences.
        scores: A lexical score for each.

    Returns:
        At most ``CANDIDATES`` places among them, ascending.
    """
    count = len(pieces)
    if count <= CANDIDATES:
        return list(range(count))

    def worth(place: int) -> tuple[float, int]:
        return -round(scores[place], 9), place

    starts = [number * count // STRETCHES for number in range(STRETCHES + 1)]
    kept = {min(range(start, end), key=worth) for start, end in pairwise(starts)}
    for place in sorted(range(count), key=worth):
        if len(kept) == CANDIDATES:
            break
        kept.add(place)
    return sorted(kept)


def rank(pieces: Sequence[Piece], vectors: npt.NDArray[np.floating], tokens: Sequence[int]) -> Iterator[int]:
    """Rank sentences by maximal marginal relevance (MMR; Carbonell and Goldstein, 1998).

    The relevance of a sentence is its centrality, the mean similarity to the others, times ``substance``, for its
    length. Each next one is that with the largest relevance less similarity to the nearest one before it.

    Args:
        pieces: The sentences.
        vectors: Their vectors, of unit length, of shape ``[len(pieces), dimension]``.
        tokens: The tokens of each.

    Yields:
        Places among them, the best first; of equally good ones the earlier.
    """
    count = len(pieces)
    table = np.asarray(vectors, dtype=np.float64)
    similarity = _products(table)
    np.fill_diagonal(similarity, 0.0)
    centrality = np.maximum(similarity.sum(axis=1) / max(1, count - 1), 0.0)
    centrality /= max(float(centrality.max()), 1e-9)
    weights = np.array([substance(piece) for piece in pieces])
    lengths = np.maximum(np.array(tokens, dtype=np.float64), _SHORTEST)
    relevance = (_FLOOR + centrality) * weights / lengths**_LENGTH
    gains = _steps(_RELEVANCE * relevance / max(float(relevance.max()), 1e-9))
    losses = _steps((1 - _RELEVANCE) * similarity)
    nearest = np.zeros(count, dtype=np.int64)
    for _ in range(count):
        best = int(np.argmax(gains - nearest))
        yield best
        gains[best] = _TAKEN
        np.maximum(nearest, losses[best], out=nearest)


def _products(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Multiply each row with each, on one thread where that is soon done: BLAS threads wait for more work busily."""
    count, columns = table.shape
    rows = _ONE_THREAD // (count * columns)
    if rows < 1 or count > _BLOCKS * rows:
        return table @ table.T
    found = np.empty((count, count))
    for start in range(0, count, rows):
        np.matmul(table[start : start + rows], table.T, out=found[start : start + rows])
    return found


def _steps(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Round to whole steps, so that ties are ties whatever the batch, and adding is exact."""
    steps: npt.NDArray[np.int64] = np.rint(values * _STEPS).astype(np.int64)
    return steps
