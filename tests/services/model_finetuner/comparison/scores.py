"""Scores of questions, as evaluations give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ragtime.services.model_finetuner.comparison import EvaluationResult


def result(scores: Sequence[float] | npt.NDArray[np.float64], model: str = "base", **fields: Any) -> EvaluationResult:
    """The result of a model whose questions have these scores."""
    named = {"model_id": model, "model_name": model, "data_name": "handbook", "data_fingerprint": "d1", **fields}
    ids = named.pop("question_ids", [f"q{number:05}" for number in range(len(scores))])
    return EvaluationResult.from_questions(ids, {"ndcg@10": scores}, **named)


def ndcg(random: np.random.Generator, ranks: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """nDCG@10 of questions with one answer each, whose ranks are moved by chance at four of ten questions."""
    moved = np.where(random.random(ranks.shape) < 0.4, ranks * 2.0 ** random.normal(0, 1.5, ranks.shape), ranks)
    places = np.maximum(1, np.round(moved))
    return np.where(places <= 10, 1 / np.log2(places + 1), 0.0)


def equal_models(
    random: np.random.Generator, questions: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Scores of two models of which neither is better: ties, hard and easy questions, and differences by chance."""
    ranks = np.maximum(1, np.round(4 * 2.0 ** random.normal(0, 2, questions))).astype(np.int64)
    return ndcg(random, ranks), ndcg(random, ranks)
