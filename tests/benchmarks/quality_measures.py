"""How well a model finds, question by question, and how sure one can be that it finds better than another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ragtime.protocols import TextEncoder
from ragtime.records import RetrievalSet
from ragtime.services.conversation.lexical import LexicalIndex
from ragtime.services.model_finetuner import Comparison, EvaluationData, EvaluationResult, compare
from ragtime.services.model_finetuner.comparison import OpenedModel, evaluate_model
from ragtime.services.model_finetuner.evaluation import RankedAnswers, Validation, ranking_figures

Figure = Literal["ndcg@10", "recall@10"]
FIGURES: tuple[Figure, ...] = ("ndcg@10", "recall@10")
_DEPTH = 10


@dataclass(frozen=True)
class Difference:
    """How much better one model finds than another, in points.

    Attributes:
        mean: The mean over the questions.
        low: Lower end of the 95 % interval, by a paired bootstrap.
        high: Its upper end.
        worse: One-sided p-value of a fall: how likely one at least as large is between equal models.
    """

    mean: float
    low: float
    high: float
    worse: float


def measure_encoder(encoder: TextEncoder, judged: RetrievalSet, *, name: str, half: bool = True) -> EvaluationResult:
    """Search exactly for every question.

    Args:
        encoder: The model.
        judged: The questions.
        name: What the model is called.
        half: Whether passes are computed in bfloat16, which takes a quarter of the time of float32 where a processor
            has it; on a GPU, too.

    Returns:
        nDCG@10 and recall@10 of every question.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    data = EvaluationData.of(judged)
    with torch.autocast(device, torch.bfloat16) if half else nullcontext():
        return only_kept(evaluate_model(OpenedModel(name, encoder), data))


def measure_bm25(judged: RetrievalSet) -> EvaluationResult:
    """Search for every question by words: BM25 as Lucene computes it, over stems, with its defaults."""
    data = EvaluationData.of(judged)
    validation = data.validation
    index = LexicalIndex()
    for passage in validation.passages:
        index.add(passage)
    ranking = np.full((len(validation.queries), _DEPTH), -1, np.int64)
    for number, query in enumerate(validation.queries):
        found = [place for place, _ in index.search(query, _DEPTH)]
        ranking[number, : len(found)] = found
    return EvaluationResult.from_questions(
        data.questions,
        {name: values.tolist() for name, values in _ranked(validation, ranking).items() if name in FIGURES},
        model_id="bm25",
        model_name="BM25",
        data_name=data.name,
        data_fingerprint=data.fingerprint,
    )


def _ranked(validation: Validation, ranking: npt.NDArray[np.int64]) -> Mapping[str, npt.NDArray[np.float64]]:
    found = RankedAnswers.from_ranking(validation.truth, ranking[validation.answered])
    return ranking_figures(validation.truth, found, [_DEPTH])


def only_kept(result: EvaluationResult) -> EvaluationResult:
    """Leave out the figures that no table shows: a value of each for every question is much to keep."""
    return _restricted(result, range(result.questions), result.data_fingerprint)


def among(result: EvaluationResult, keys: Collection[str], group: str) -> EvaluationResult:
    """Return what was found for some of the questions.

    Args:
        result: What was found for all.
        keys: The questions; others than those of the result are passed over.
        group: What they are called.

    Returns:
        The result for them, which can be compared with those of the same group.
    """
    places = [place for place, key in enumerate(result.question_ids) if key in keys]
    return _restricted(result, places, f"{result.data_fingerprint}, {group}")


def _restricted(result: EvaluationResult, places: Sequence[int], fingerprint: str) -> EvaluationResult:
    return EvaluationResult.from_questions(
        [result.question_ids[place] for place in places],
        {name: [result.by_question[name][place] for place in places] for name in FIGURES},
        model_id=result.model_id,
        model_name=result.model_name,
        data_name=result.data_name,
        data_fingerprint=fingerprint,
    )


def difference(base: EvaluationResult, tuned: EvaluationResult, figure: Figure = "ndcg@10") -> Difference:
    """Compare two models on the same questions.

    Args:
        base: The one.
        tuned: The other.
        figure: What to compare.

    Returns:
        By how much the other one is better.
    """
    found: Comparison = compare(base, tuned, figure=figure)
    low, high = found.interval
    return Difference(100 * found.difference, 100 * low, 100 * high, found.p_worse)
