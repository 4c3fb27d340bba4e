"""Negative mining by words, where there is no encoder."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from ragtime.services.training_data_gen.mining.result import Grade
from ragtime.services.training_data_gen.mining.tuning import tune_margin
from ragtime.services.training_data_gen.retrieval import Retriever

__all__ = ["LexicalNegative", "LexicalNegatives", "LexicalTask", "mine_lexical_negatives"]

_WINDOW = 50  # ranks from which hard negatives are taken
_BETWEEN = 100  # rank at which those in between end
_UNSURE = 10  # best ranks passed over where the positive was not found, and nothing tells what is too near
_TARGET = 0.95
_AT_ONCE = 256
_TRIED = 32  # random passages


class LexicalNegative(NamedTuple):
    """A negative of a query.

    Attributes:
        id: The passage.
        score: Its score; ``None`` where it shares no word with the query, or ranks too far down to have one.
        grade: How hard it is.
    """

    id: str
    score: float | None
    grade: Grade


class LexicalNegatives(NamedTuple):
    """What was found for each query.

    Attributes:
        found: For each query its negatives: hard ones, the hardest first, then those in between, then random ones.
        worst_positives: For each query the score of its worst positive; 0 where that was not found.
        relative_margin: By which share a hard negative's score stays under that of the worst positive.
        too_near: How many passages were left out because they come nearer than that.
    """

    found: list[list[LexicalNegative]]
    worst_positives: list[float]
    relative_margin: float
    too_near: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LexicalTask:
    """Queries, and what is known of their passages.

    Attributes:
        queries: The queries.
        positives: For each query the ids of its positives.
        excluded: For each query the ids of all passages that must not become negatives, copies included.
        passages: The ids of all passages, sorted.
        groups: A number for each passage that has copies, the same for copies; of these only one becomes a negative.
        chance: Gives random numbers for a query.
    """

    queries: Sequence[str]
    positives: Sequence[AbstractSet[str]]
    excluded: Sequence[AbstractSet[str]]
    passages: Sequence[str]
    groups: Mapping[str, int]
    chance: Callable[[str], random.Random]


def mine_lexical_negatives(
    task: LexicalTask, retriever: Retriever, *, hard: int, in_between: int, easy: int
) -> LexicalNegatives:
    """Find passages that share words with a query and do not answer it, by the margin of ``MiningOptions``.

    A query whose positives share no word with it has no measure of what is too near; its hard negatives are then the
    best passages after the first ten.

    Args:
        task: The queries.
        retriever: Searches by words.
        hard: Hard negatives of each query.
        in_between: Those from ranks 50 to 100.
        easy: Random ones, from what the search does not find among the first 100.

    Returns:
        The negatives, at most so many of each query.
    """
    rankings = [_ranked(task, place, hits) for place, hits in enumerate(_searched(task, retriever))]

    def yield_of(margin: float) -> float:
        return sum(len(one.below(margin)[:hard]) == hard for one in rankings) / max(1, len(rankings))

    margin = tune_margin(yield_of, _TARGET).relative_margin
    found = []
    for place, ranking in enumerate(rankings):
        chance = task.chance(task.queries[place])
        negatives = [LexicalNegative(one, score, "hard") for one, score in ranking.below(margin)[:hard]]
        between = chance.sample(ranking.further, min(in_between, len(ranking.further)))
        negatives += [LexicalNegative(one, score, "in_between") for one, score in between]
        negatives += [LexicalNegative(one, None, "random") for one in _random(task, place, ranking, easy, chance)]
        found.append(negatives)
    too_near = sum(len(one.near) - len(one.below(margin)) for one in rankings)
    return LexicalNegatives(found, [one.worst for one in rankings], margin, too_near)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """What a search found for a query, without what is excluded, and of copies the first."""

    near: list[tuple[str, float]]
    further: list[tuple[str, float]]
    seen: frozenset[str]
    worst: float

    def below(self, margin: float) -> list[tuple[str, float]]:
        limit = self.worst * (1 - margin) if self.worst else float("inf")
        return [one for one in self.near if one[1] <= limit]


def _searched(task: LexicalTask, retriever: Retriever) -> list[list[tuple[str, float]]]:
    found: list[list[tuple[str, float]]] = []
    for start in range(0, len(task.queries), _AT_ONCE):
        hits = retriever.search(task.queries[start : start + _AT_ONCE], _BETWEEN)
        found += [[(hit.id, hit.score) for hit in some] for some in hits]
    return found


def _ranked(task: LexicalTask, place: int, hits: Sequence[tuple[str, float]]) -> _Ranking:
    scores = [score for one, score in hits[:_WINDOW] if one in task.positives[place]]
    copies: set[int] = set()
    near: list[tuple[str, float]] = []
    further: list[tuple[str, float]] = []
    for rank, (one, score) in enumerate(hits):
        group = task.groups.get(one)
        if one in task.excluded[place] or group in copies:
            continue
        if group is not None:
            copies.add(group)
        (near if rank < _WINDOW else further).append((one, score))
    return _Ranking(
        near=near if scores else near[_UNSURE:],
        further=further,
        seen=frozenset(one for one, _ in hits),
        worst=min(scores, default=0.0),
    )


def _random(task: LexicalTask, place: int, ranking: _Ranking, count: int, chance: random.Random) -> list[str]:
    """Draw passages that were not found; of a corpus of which few are left, at most as many as are met by chance."""
    drawn: list[str] = []
    out = task.excluded[place] | ranking.seen
    groups = {task.groups[one] for one in ranking.seen if one in task.groups}
    tried = chance.sample(task.passages, min(len(task.passages), max(_TRIED, _TRIED * count)))
    for one in tried:
        if len(drawn) == count:
            break
        group = task.groups.get(one)
        if one not in out and (group is None or group not in groups):
            drawn.append(one)
            if group is not None:
                groups.add(group)
    return drawn
