"""Whether a tuned model is better than its base: two evaluations compared, and the decision that follows.

>>> def result(model: str, scores: dict[str, float]) -> EvaluationResult:
...     return EvaluationResult.from_questions(
...         scores,
...         {"ndcg@10": list(scores.values())},
...         model_id=model,
...         model_name=model,
...         data_name="handbook",
...         data_fingerprint="d1",
...     )
>>> base = result("base", {f"question {number}": 0.3 for number in range(8)})
>>> tuned = result("tuned", {f"question {number}": 0.3 + number / 20 for number in range(8)})
>>> compared = compare(base, tuned)
>>> round(compared.difference, 3), compared.p_better, compared.won, compared.tied
(0.175, 0.0078125, 7, 1)
>>> Gate().decide(compared).promote
True
"""

from __future__ import annotations

from ragtime.services.model_finetuner.comparison.data import EvaluationData, EvaluationSource
from ragtime.services.model_finetuner.comparison.evaluating import ModelSource, OpenedModel, evaluate_model, open_model
from ragtime.services.model_finetuner.comparison.files import read_evaluation, write_evaluation
from ragtime.services.model_finetuner.comparison.gate import Decision, Gate
from ragtime.services.model_finetuner.comparison.interpolation import (
    InterpolationPoint,
    InterpolationSearch,
    interpolate_weights,
    search_interpolation,
)
from ragtime.services.model_finetuner.comparison.paired import Comparison, ComparisonSummary, compare
from ragtime.services.model_finetuner.comparison.resampling import SignFlipTest, bootstrap_interval, sign_flip_test
from ragtime.services.model_finetuner.comparison.results import EvaluationResult

__all__ = [
    "Comparison",
    "ComparisonSummary",
    "Decision",
    "EvaluationData",
    "EvaluationResult",
    "EvaluationSource",
    "Gate",
    "InterpolationPoint",
    "InterpolationSearch",
    "ModelSource",
    "OpenedModel",
    "SignFlipTest",
    "bootstrap_interval",
    "compare",
    "evaluate_model",
    "interpolate_weights",
    "open_model",
    "read_evaluation",
    "search_interpolation",
    "sign_flip_test",
    "write_evaluation",
]
