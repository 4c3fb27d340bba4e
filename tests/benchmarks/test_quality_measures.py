"""Figures by question, and differences between models with their intervals."""

from __future__ import annotations

import math

import pytest

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.config.settings import Settings
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner import EvaluationResult
from ragtime.testing import tiny_model
from tests.benchmarks.quality_measures import among, difference, measure_bm25, measure_encoder


def _judged() -> RetrievalSet:
    things = ("pump", "valve", "filter", "motor", "sensor", "gasket", "belt", "wheel", "lamp", "switch", "cable", "fan")
    documents = [Document(id=thing, text=f"How the {thing} is cleaned and stored.") for thing in things]
    queries = {thing: f"cleaning a {thing}" for thing in things[:3]} | {"none": "nothing of the kind"}
    return RetrievalSet.from_documents(
        documents, queries, {key: {key if key in things else "fan": 1} for key in queries}
    )


def _result(scores: list[float], *, data: str = "d") -> EvaluationResult:
    return EvaluationResult.from_questions(
        [f"q{number:02}" for number in range(len(scores))],
        {"ndcg@10": scores, "recall@10": [1.0] * len(scores)},
        model_id=str(scores),
        model_name="model",
        data_name="data",
        data_fingerprint=data,
    )


def test_bm25_finds_by_words_and_what_it_does_not_find_counts_nothing() -> None:
    found = measure_bm25(_judged())
    by_question = dict(zip(found.question_ids, found.by_question["ndcg@10"], strict=True))
    assert by_question == {"filter": 1.0, "none": 0.0, "pump": 1.0, "valve": 1.0}
    assert found.figures == {"ndcg@10": 0.75, "recall@10": 0.75}


@pytest.mark.models
def test_an_encoder_is_measured_on_the_same_questions_as_bm25() -> None:
    encoder = SentenceTransformerEncoder(Settings.isolated(logging__progress="off"), model=tiny_model())
    exact = measure_encoder(encoder, _judged(), name="tiny", half=False)
    assert set(exact.by_question) == {"ndcg@10", "recall@10"}
    assert all(0 <= value <= 1 for value in exact.by_question["ndcg@10"])
    assert difference(measure_bm25(_judged()), exact).mean == pytest.approx(100 * (exact.figures["ndcg@10"] - 0.75))


def test_among_takes_the_mean_over_the_questions_named() -> None:
    result = among(_result([0.0, 1.0, 0.5]), {"q01", "q02", "elsewhere"}, "some")
    assert result.question_ids == ("q01", "q02")
    assert result.figures["ndcg@10"] == 0.75


@pytest.mark.models
def test_differences_are_points_with_an_interval_around_them() -> None:
    base = [0.1 * (number % 5) for number in range(40)]
    gained = difference(_result(base), _result([score + 0.05 * (number % 3) for number, score in enumerate(base)]))
    assert gained.mean == pytest.approx(100 * math.fsum(0.05 * (number % 3) for number in range(40)) / 40)
    assert 0 < gained.low < gained.mean < gained.high
    assert gained.worse > 0.99
    fallen = difference(_result(base), _result([score - 0.05 * (number % 3) for number, score in enumerate(base)]))
    assert fallen.high < 0
    assert fallen.worse < 0.01


def test_a_group_is_not_compared_with_all() -> None:
    every = _result([0.0, 1.0, 0.5])
    with pytest.raises(ValueError, match="different data"):
        difference(every, among(every, set(every.question_ids), "group"))
