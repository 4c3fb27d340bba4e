"""Which turns stand behind the sentences of a model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from ragtime.records.conversation import Interaction
from ragtime.services.conversation.summaries.pieces import pieces_of
from ragtime.services.conversation.summaries.splitting import split_sentences
from ragtime.services.conversation.summaries.summary import SummarySentence
from ragtime.utils.stems import stems_of

__all__ = ["attribute"]

_MOST = 3  # turns behind a sentence
_NEAR = 0.6  # share of the best overlap from which a turn counts as well


def attribute(text: str, turns: Sequence[Interaction]) -> tuple[SummarySentence, ...]:
    """Find the turns that each sentence of a text has most words in common with.

    The overlap of a sentence and a turn is the sum of the inverse frequencies of the stems that both have. Behind a
    sentence stand the turn with the largest overlap, the earlier of equals, and up to two more with at least 0.6 of it.
    Where no turn shares a word, as after a translation, it is the last turn.

    Args:
        text: What a model wrote.
        turns: The conversation; those of the system stand behind nothing, and there are others.

    Returns:
        The sentences of the text with the ids of their turns, in the order of the conversation.
    """
    spoken = [turn for turn in turns if turn.role != "system"]
    holders: defaultdict[str, list[int]] = defaultdict(list)
    for place, turn in enumerate(spoken):
        for stem in dict.fromkeys(stem for piece in pieces_of(turn, place) for stem in piece.stems):
            holders[stem].append(place)
    return tuple(
        SummarySentence(sentence, tuple(spoken[place].id for place in _behind(sentence, holders, len(spoken))))
        for sentence in split_sentences(text)
    )


def _behind(sentence: str, holders: dict[str, list[int]], count: int) -> list[int]:
    overlaps: defaultdict[int, float] = defaultdict(float)
    for stem in dict.fromkeys(stems_of(sentence)):
        places = holders.get(stem, [])
        for place in places:
            overlaps[place] += math.log(1 + count / len(places))
    if not overlaps:
        return [count - 1]
    best = sorted(overlaps, key=lambda place: (-round(overlaps[place], 9), place))[:_MOST]
    least = _NEAR * overlaps[best[0]]
    return sorted(place for place in best if overlaps[place] >= least)
