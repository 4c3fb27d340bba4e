"""Figures of rankings, by question: nDCG, MRR, MAP, recall and accuracy.

Definitions are those of trec_eval, which BEIR reports: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR
techniques" (2002), for nDCG with the grade itself as gain; Voorhees, "The TREC-8 question answering track report"
(1999), for MRR; Buckley and Voorhees, "Retrieval evaluation with incomplete information" (2004), for average precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.services.model_finetuner.evaluation.truth import Floats, Numbers, RankedAnswers, RankingTruth
else:
    np = LazyModule("numpy")

__all__ = ["ranking_figures"]


def ranking_figures(truth: RankingTruth, found: RankedAnswers, cutoffs: Sequence[int]) -> dict[str, Floats]:
    """Compute the figures of every question.

    Of every cutoff k:

    - ``ndcg@k``: the sum of ``grade / log2(rank + 1)`` over the first k, divided by the highest sum that is possible;
    - ``mrr@k``: 1 / rank of the first answer, 0 when it is not among the first k;
    - ``recall@k``: the share of the answers that is among the first k;
    - ``accuracy@k``: 1 when any of them is, else 0.

    And ``map``: the precision at the rank of every answer, averaged over all answers; those not found count 0.

    Args:
        truth: The answers.
        found: The ranks at which they were found.
        cutoffs: Ranks to look at, each at least 1.

    Returns:
        By name, float64 of shape ``[questions]``, from 0 to 1.
    """
    gains = found.grades / np.log2(found.ranks + 1)
    ideal_order = np.lexsort((-truth.grades, truth.questions))
    ideal_ranks = np.arange(len(ideal_order)) - truth.offsets[truth.questions] + 1
    ideal_gains = truth.grades[ideal_order] / np.log2(ideal_ranks + 1)
    # Within a question, ranks ascend: how many answers have been seen is the place.
    first = np.searchsorted(found.questions, found.questions)
    seen = np.arange(len(found.ranks)) - first + 1

    def total(questions: Numbers, values: Floats) -> Floats:
        return np.asarray(np.bincount(questions, values, len(truth)), np.float64)

    figures = {}
    for k in cutoffs:
        inside, ideal = found.ranks <= k, ideal_ranks <= k
        questions = found.questions[inside]
        best = total(truth.questions[ideal], ideal_gains[ideal])
        figures[f"ndcg@{k}"] = total(questions, gains[inside]) / best
        leading = inside & (seen == 1)
        figures[f"mrr@{k}"] = total(found.questions[leading], 1 / found.ranks[leading])
        hits = np.bincount(questions, minlength=len(truth))
        figures[f"recall@{k}"] = hits / truth.counts
        figures[f"accuracy@{k}"] = (hits > 0).astype(np.float64)
    figures["map"] = total(found.questions, seen / found.ranks) / truth.counts
    return figures
