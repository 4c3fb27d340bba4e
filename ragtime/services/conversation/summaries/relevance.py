"""How much a sentence says, by its words alone: linear in the number of sentences."""

from __future__ import annotations

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.services.conversation.summaries.pieces import Piece
from ragtime.services.conversation.summaries.splitting import is_question
from ragtime.utils.extras import LazyModule
from ragtime.utils.stems import stems_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["is_courtesy", "lexical_scores", "substance", "term_vectors"]

# Sentences of nothing else are courtesies: they say that one talks, not of what.
_COURTESIES = (
    "hello hi hey good morning afternoon evening thanks thank please yes yeah yep no nope not okay ok sure right "
    "correct great perfect fine nice wonderful awesome cool bye goodbye later see day night welcome sorry help "
    "helped helpful need want anything else something assist assistance enjoy stay have sounds works like love "
    "glad happy lot much many very well may today moment wait got get all do does done really appreciate care "
    "alright excellent one yup problem"
)
_FEW = 3  # stems; a shorter sentence says little out of its place
_DETAIL, _QUESTION, _COURTESY, _UNSPOKEN, _SHORT = 1.5, 0.5, 0.05, 0.6, 0.8


def substance(piece: Piece) -> float:
    """Weigh a sentence by what kind of sentence it is.

    Courtesies say nothing, and a question less than its answer; figures and names are what one looks for later.

    Args:
        piece: The sentence.

    Returns:
        A factor for its relevance, from 0.05 to 1.5.
    """
    if piece.weight is None:
        piece.weight = _weigh(piece)
    return piece.weight


def _weigh(piece: Piece) -> float:
    if piece.spoken and _courtesies().issuperset(piece.stems):
        return _COURTESY
    weight = _DETAIL if _has_details(piece.text) else 1.0
    if is_question(piece.text):
        weight *= _QUESTION
    if not piece.spoken:
        weight *= _UNSPOKEN
    return weight * (_SHORT if len(piece.stems) < _FEW else 1.0)


def is_courtesy(piece: Piece) -> bool:
    """Whether a sentence has no word but those of greetings, thanks, consent and offers of help."""
    return substance(piece) == _COURTESY


def _has_details(text: str) -> bool:
    return any(
        any(character.isdigit() for character in word) or (number > 0 and word[:1].isupper() and word != "I")
        for number, word in enumerate(text.split())
    )


@functools.cache
def _courtesies() -> frozenset[str]:
    return frozenset(stems_of(_COURTESIES))


def lexical_scores(pieces: Sequence[Piece]) -> list[float]:
    """Score sentences by centrality: how near their words are to those of all sentences together.

    The cosine of each sentence's TF-IDF vector and their sum (the centroid of Radev et al., 2004), times ``substance``.

    Args:
        pieces: The sentences.

    Returns:
        A score of at least 0 for each.
    """
    weights = _idf(pieces)
    total: defaultdict[str, float] = defaultdict(float)
    norms = []
    for piece in pieces:
        norm = math.sqrt(sum(weights[stem] ** 2 for stem in piece.stems)) or 1.0
        norms.append(norm)
        for stem in piece.stems:
            total[stem] += weights[stem] / norm
    length = math.sqrt(sum(value * value for value in total.values())) or 1.0
    return [
        sum(weights[stem] * total[stem] for stem in piece.stems) / (norm * length) * substance(piece)
        for piece, norm in zip(pieces, norms, strict=True)
    ]


def _idf(pieces: Sequence[Piece]) -> dict[str, float]:
    frequencies: Counter[str] = Counter()
    for piece in pieces:
        frequencies.update(piece.stems)  # each stands there once
    return {stem: math.log(1 + len(pieces) / count) for stem, count in frequencies.items()}


def term_vectors(pieces: Sequence[Piece]) -> npt.NDArray[np.float64]:
    """Make TF-IDF vectors of sentences, for the few that are compared with each other.

    Args:
        pieces: The sentences.

    Returns:
        An array of shape ``[len(pieces), words]``, where words are those that two sentences or more have in common:
        others make no two alike. With them a row has unit length; zeros for a sentence without words.
    """
    weights = _idf(pieces)
    once = math.log(1 + len(pieces))
    columns = {stem: number for number, stem in enumerate(stem for stem, weight in weights.items() if weight < once)}
    table = np.zeros((len(pieces), max(1, len(columns))))
    for row, piece in enumerate(pieces):
        norm = math.sqrt(sum(weights[stem] ** 2 for stem in piece.stems))
        for stem in piece.stems:
            column = columns.get(stem)
            if column is not None:
                table[row, column] = weights[stem] / norm
    return table
