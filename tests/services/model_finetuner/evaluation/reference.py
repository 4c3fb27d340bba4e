"""The figures of an evaluation in plain Python, as they are defined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def ranking_reference(answers: Mapping[int, float], ranked: Sequence[int], cutoffs: Sequence[int]) -> dict[str, float]:
    """Compute the figures of one question from the passages it got."""
    figures = {}
    for k in cutoffs:
        top = ranked[:k]
        gain = sum(answers.get(passage, 0.0) / math.log2(rank + 1) for rank, passage in enumerate(top, start=1))
        best = sorted(answers.values(), reverse=True)[:k]
        figures[f"ndcg@{k}"] = gain / sum(grade / math.log2(rank + 1) for rank, grade in enumerate(best, start=1))
        ranks = [rank for rank, passage in enumerate(top, start=1) if passage in answers]
        figures[f"mrr@{k}"] = 1 / ranks[0] if ranks else 0.0
        figures[f"recall@{k}"] = len(ranks) / len(answers)
        figures[f"accuracy@{k}"] = float(bool(ranks))
    ranks = [rank for rank, passage in enumerate(ranked, start=1) if passage in answers]
    figures["map"] = sum(count / rank for count, rank in enumerate(ranks, start=1)) / len(answers)
    return figures


def ranked_reference(answers: Mapping[int, float], scores: Sequence[float]) -> list[int]:
    """Rank passages by their scores; of those that tie, the worse come first."""
    return sorted(range(len(scores)), key=lambda passage: (-scores[passage], answers.get(passage, 0.0)))
