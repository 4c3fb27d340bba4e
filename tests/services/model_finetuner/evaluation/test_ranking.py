"""Figures of rankings: against their definitions in plain Python, against sklearn, and with ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.evaluation import RankedAnswers, RankingTruth, ranking_figures
from tests.services.model_finetuner.evaluation.reference import ranked_reference, ranking_reference

CUTOFFS = [1, 2, 3, 10]
Question = tuple[dict[int, float], list[int]]


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """The answers of a question among eight passages, and a ranking of some of them."""
    answers = draw(st.dictionaries(st.integers(0, 7), st.sampled_from([0.5, 1.0, 2.0, 3.0]), min_size=1))
    ranked = draw(st.permutations(range(8)))
    return answers, ranked[: draw(st.integers(0, 8))]


def figures_of(asked: list[Question]) -> dict[str, Any]:
    truth = RankingTruth.from_judgements([answers for answers, _ in asked])
    ranking = [[*ranked, *[-1] * (8 - len(ranked))] for _, ranked in asked]
    return ranking_figures(truth, RankedAnswers.from_ranking(truth, ranking), CUTOFFS)


@given(st.lists(questions(), min_size=1, max_size=5))
@settings(max_examples=100)
def test_figures_are_those_of_their_definitions(asked: list[Question]) -> None:
    figures = figures_of(asked)
    for number, (answers, ranked) in enumerate(asked):
        wanted = ranking_reference(answers, ranked, CUTOFFS)
        assert figures.keys() == wanted.keys()
        assert {name: values[number] for name, values in figures.items()} == pytest.approx(wanted, abs=1e-12)
        assert all(0 <= value <= 1 + 1e-12 for value in wanted.values())


def test_a_perfect_ranking_scores_one_and_an_empty_one_zero() -> None:
    perfect: Question = ({3: 2.0, 5: 1.0}, [3, 5, 0])
    nothing: Question = ({3: 1.0}, [])
    figures = figures_of([perfect, nothing])
    assert figures["ndcg@10"].tolist() == figures["map"].tolist() == figures["recall@2"].tolist() == [1, 0]
    assert figures["recall@1"].tolist() == [0.5, 0]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_ndcg_is_that_of_sklearn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    grades, scores = random.integers(0, 4, (5, 12)), random.permuted(np.arange(60.0).reshape(5, 12), axis=1)
    grades[:, 0] = 1
    truth = RankingTruth.from_judgements([dict(enumerate(row.tolist())) for row in grades])
    found = RankedAnswers.from_ranking(truth, np.argsort(-scores, axis=1))
    figures = ranking_figures(truth, found, [3, 10])
    for k in (3, 10):
        assert figures[f"ndcg@{k}"].mean() == pytest.approx(metrics.ndcg_score(grades, scores, k=k))


SCORES = st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=6, max_size=6)


@given(
    st.lists(st.tuples(st.dictionaries(st.integers(0, 5), st.sampled_from([1.0, 2.0]), min_size=1), SCORES), max_size=4)
)
@settings(max_examples=100)
def test_ranks_of_embeddings_count_ties_against_the_model(asked: list[tuple[dict[int, float], list[float]]]) -> None:
    truth = RankingTruth.from_judgements([answers for answers, _ in asked])
    # One dimension for each passage, so that the scores are what was drawn.
    queries = np.array([scores for _, scores in asked], np.float32).reshape(-1, 6)
    found = RankedAnswers.from_embeddings(truth, queries, np.eye(6, dtype=np.float32))
    figures = ranking_figures(truth, found, CUTOFFS)
    for number, (answers, scores) in enumerate(asked):
        wanted = ranking_reference(answers, ranked_reference(answers, scores), CUTOFFS)
        assert {name: values[number] for name, values in figures.items()} == pytest.approx(wanted, abs=1e-12)


def test_a_model_that_gives_one_embedding_to_everything_is_the_worst() -> None:
    truth = RankingTruth.from_judgements([{0: 1.0}, {1: 1.0}])
    same = np.full((40, 4), 0.5, np.float32)
    assert RankedAnswers.from_embeddings(truth, same[:2], same).ranks.tolist() == [40, 40]


def test_many_passages_are_ranked_in_blocks() -> None:
    random = np.random.default_rng(3)
    passages = random.standard_normal((9_000, 8)).astype(np.float32)
    answers = [int(one) for one in random.integers(0, 9_000, 2_000)]
    queries = passages[answers] + random.standard_normal((2_000, 8)).astype(np.float32)
    truth = RankingTruth.from_judgements([{one: 1.0} for one in answers])
    found = RankedAnswers.from_embeddings(truth, queries, passages)
    for number in (0, 1, 931, 932, 1_999):  # a block holds 932 questions
        scores = np.round(queries[number] @ passages.T, 6)
        assert found.ranks[number] == (scores >= scores[answers[number]] - 1e-6).sum()


def test_a_question_with_very_many_answers_is_ranked() -> None:
    passages = np.eye(300, dtype=np.float32)
    truth = RankingTruth.from_judgements([dict.fromkeys(range(200), 1.0)])
    query = np.linspace(1, -1, 300, dtype=np.float32)[None]
    assert RankedAnswers.from_embeddings(truth, query, passages).ranks.tolist() == list(range(1, 201))


def test_no_question_gives_no_figure() -> None:
    truth = RankingTruth.from_judgements([])
    found = RankedAnswers.from_embeddings(truth, np.empty((0, 2), np.float32), np.ones((3, 2), np.float32))
    assert len(found.ranks) == len(truth) == 0
    assert len(RankedAnswers.from_ranking(truth, np.empty((0, 5), np.int64)).ranks) == 0
    assert ranking_figures(truth, found, [1])["map"].tolist() == []


@pytest.mark.parametrize("judged", [{}, {3: 0.0}, {3: -1.0}])
def test_a_question_without_an_answer_is_refused(judged: dict[int, float]) -> None:
    with pytest.raises(InvalidArgumentError, match="Question 1 has no answer"):
        RankingTruth.from_judgements([{1: 1.0}, judged])


@pytest.mark.parametrize("grade", [float("nan"), float("inf")])
def test_grades_are_finite(grade: float) -> None:
    with pytest.raises(InvalidArgumentError, match="finite"):
        RankingTruth.from_judgements([{1: grade}])


@pytest.mark.parametrize(
    ("ranking", "message"),
    [([[1, 2], [3, 4]], "shape"), ([1, 2], "shape"), ([[0.5, 1.5]], "float64"), ([[4, 1, 4]], "once")],
)
def test_wrong_rankings_are_refused(ranking: Any, message: str) -> None:
    truth = RankingTruth.from_judgements([{1: 1.0}])
    with pytest.raises(InvalidArgumentError, match=message):
        RankedAnswers.from_ranking(truth, ranking)


def test_a_truth_cannot_be_changed() -> None:
    truth = RankingTruth.from_judgements([{1: 1.0}])
    with pytest.raises(ValueError, match="read-only"):
        truth.grades[0] = 2.0
