"""Hard-negative mining by words, where there is no encoder."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from ragtime.services.training_data_gen.mining.tuning import tune_margin
from ragtime.services.training_data_gen.retrieval import Retriever

__all__ = ["LexicalNegatives", "mine_lexical_negatives"]

_WINDOW = 50  # ranks looked at
_TARGET = 0.95
_AT_ONCE = 256


class LexicalNegatives(NamedTuple):
    """What was found for each query.

    Attributes:
        found: For each query ids of passages and their scores, the hardest first.
        worst_positives: For each query the score of its worst positive; 0 where that was not found.
        relative_margin: By which share a negative's score stays under that of the worst positive.
    """

    found: list[list[tuple[str, float]]]
    worst_positives: list[float]
    relative_margin: float


def mine_lexical_negatives(
    retriever: Retriever,
    queries: Sequence[str],
    excluded: Sequence[AbstractSet[str]],
    positives: Sequence[AbstractSet[str]],
    count: int,
) -> LexicalNegatives:
    """Find passages that share words with a query and do not answer it, by the margin of ``MiningOptions``.

    A query whose positives share no word with it has no measure of what is too near; its negatives are then the best
    passages after the first ten.

    Args:
        retriever: Searches by words.
        queries: The queries.
        excluded: For each query ids of passages that must not become negatives.
        positives: For each query ids of its positives.
        count: Negatives of each query.

    Returns:
        The negatives, at most `count` of each query.
    """
    candidates: list[list[tuple[str, float]]] = []
    worst: list[float] = []
    for start in range(0, len(queries), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        for hits, own, out in zip(
            retriever.search(queries[part], _WINDOW), positives[part], excluded[part], strict=True
        ):
            scores = [hit.score for hit in hits if hit.id in own]
            worst.append(min(scores, default=0.0))
            others = [(hit.id, hit.score) for hit in hits if hit.id not in out and hit.id not in own]
            candidates.append(others if scores else others[10:])

    def below(place: int, margin: float) -> list[tuple[str, float]]:
        limit = worst[place] * (1 - margin) if worst[place] else float("inf")
        return [one for one in candidates[place] if one[1] <= limit][:count]

    def yield_of(margin: float) -> float:
        return sum(len(below(place, margin)) == count for place in range(len(queries))) / max(1, len(queries))

    margin = tune_margin(yield_of, _TARGET).relative_margin
    return LexicalNegatives([below(place, margin) for place in range(len(queries))], worst, margin)
