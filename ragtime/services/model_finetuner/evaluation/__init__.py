"""How good embeddings are: figures of rankings and of labelled pairs, and the validation of a training run.

>>> truth = RankingTruth.from_judgements([{0: 1.0, 2: 1.0}])  # passages 0 and 2 answer the only question
>>> found = RankedAnswers.from_ranking(truth, [[2, 1, 0]])
>>> {name: values.tolist() for name, values in ranking_figures(truth, found, [1]).items()}
{'ndcg@1': [1.0], 'mrr@1': [1.0], 'recall@1': [0.5], 'accuracy@1': [1.0], 'map': [0.8333333333333333]}
"""

from __future__ import annotations

from ragtime.services.model_finetuner.evaluation.figures import CUTOFFS, check_figure, cutoff_of, higher_is_better
from ragtime.services.model_finetuner.evaluation.judged import JudgedQuestions, judged_questions
from ragtime.services.model_finetuner.evaluation.labelled import correlation_figures, rating_figures
from ragtime.services.model_finetuner.evaluation.ranking import ranking_figures
from ragtime.services.model_finetuner.evaluation.truth import RankedAnswers, RankingTruth
from ragtime.services.model_finetuner.evaluation.validation import Validation

__all__ = [
    "CUTOFFS",
    "JudgedQuestions",
    "RankedAnswers",
    "RankingTruth",
    "Validation",
    "check_figure",
    "correlation_figures",
    "cutoff_of",
    "higher_is_better",
    "judged_questions",
    "ranking_figures",
    "rating_figures",
]
