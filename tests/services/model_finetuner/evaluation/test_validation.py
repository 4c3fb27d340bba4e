"""The validation of a run: what it is made of, which figures it gives, and how large it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.dataset import DataShape, Row, read_rows
from ragtime.services.model_finetuner.evaluation import (
    Validation,
    correlation_figures,
    higher_is_better,
    rating_figures,
)

ROWS = [
    Row("1", "refund?", "30 days.", ("Two weeks.",)),
    Row("2", "refund?", "A month."),
    Row("3", "delivery?", "2 days."),
]
RATED = read_rows([("a?", "yes", 1), ("a?", "no", 0), ("b?", "yes", 0), ("c?", "well", 1)]).rows
GRADED = read_rows([("a?", "yes", 0.9), ("b?", "no", 0.1), ("c?", "perhaps", 0.6)]).rows


def prepared(rows: list[Row] = ROWS, shape: DataShape = "triplets", **arguments: object) -> Validation:
    return Validation.prepare(rows, shape, **{"max_texts": 100, "seed": 42} | arguments)  # type: ignore[arg-type]


def embeddings(validation: Validation) -> tuple[np.ndarray, np.ndarray]:
    """Give each passage a direction of its own, and each query that of the last of its answers."""
    passages = 3 * np.eye(len(validation.passages), dtype=np.float32)
    queries = np.zeros((len(validation.queries), len(passages)), np.float32)
    queries[:, 0] = 0.5
    queries[validation.answered[validation.truth.questions]] = passages[validation.truth.passages]
    return queries, passages


def test_all_answers_of_a_query_count() -> None:
    validation = prepared(others=[Row("4", "refund?", "Thirty days."), Row("5", "other?", "Else.")])
    question = [validation.queries[place] for place in validation.answered].index("refund?")
    first, last = validation.truth.offsets[question : question + 2]
    answers = {validation.passages[place] for place in validation.truth.passages[first:last]}
    assert answers == {"30 days.", "A month.", "Thirty days."}
    assert set(validation.passages) == answers | {"2 days.", "Two weeks.", "Else."}
    assert set(validation.queries) == {"refund?", "delivery?"}


def test_figures_are_those_that_were_promised() -> None:
    kinds: list[tuple[list[Row], DataShape]] = [(ROWS, "triplets"), (RATED, "rated"), (GRADED, "graded")]
    for rows, shape in kinds:
        validation = prepared(rows, shape)
        if shape != "triplets":
            pytest.importorskip("scipy")
        figures = validation.measure(*embeddings(validation))
        assert set(figures) == set(validation.names)
        assert {type(value) for value in figures.values()} == {float}
        assert all(map(higher_is_better, figures))
    for rows, shape in kinds[1:]:
        assert {"auc", "average_precision", "pearson", "spearman"} <= set(prepared(rows, shape).names)
    assert {"auc", "pearson"}.isdisjoint(prepared().names)


def test_pairs_that_all_fit_have_grades_but_no_bad_ones() -> None:
    rows = [Row("1", "a?", "yes", label=0.6), Row("2", "b?", "no", label=0.9)]
    assert {"pearson", "spearman"} <= set(prepared(rows, "graded").names)
    assert "auc" not in prepared(rows, "graded").names


def test_figures_of_pairs_are_those_of_their_definitions() -> None:
    pytest.importorskip("scipy")
    validation = prepared(GRADED, "graded")
    queries, passages = embeddings(validation)
    similarities = [
        float(queries[query] @ passages[passage] / np.linalg.norm(queries[query]) / np.linalg.norm(passages[passage]))
        for query, passage in validation.pairs
    ]
    expected = rating_figures(validation.labels > 0.5, similarities)
    expected |= correlation_figures(validation.labels, similarities)
    assert validation.measure_pairs(queries, passages) == pytest.approx(expected, abs=1e-6)
    assert prepared().measure_pairs(*embeddings(prepared())) == {}


def test_a_query_finds_its_answer() -> None:
    validation = prepared(ROWS[2:], others=ROWS[:2])
    assert validation.measure(*embeddings(validation))["ndcg@10"] == 1
    queries, passages = embeddings(validation)
    worst = validation.measure(queries, np.ones_like(passages))
    assert worst["mrr@100"] == 1 / len(passages)
    by_question = validation.measure_questions(queries, passages)
    assert by_question["mrr@1"].tolist() == [1.0]


def test_bad_responses_are_passages_but_no_answers() -> None:
    validation = prepared(RATED, "rated")
    assert sorted(validation.queries) == ["a?", "b?", "c?"]
    assert sorted(validation.queries[place] for place in validation.answered) == ["a?", "c?"]
    assert len(validation.pairs) == len(validation.labels) == 4
    told = {
        (validation.queries[query], validation.passages[passage]): label
        for (query, passage), label in zip(validation.pairs.tolist(), validation.labels.tolist(), strict=True)
    }
    assert told == {("a?", "yes"): 1, ("a?", "no"): 0, ("b?", "yes"): 0, ("c?", "well"): 1}


def test_unlabelled_questions_alone_give_no_ranking() -> None:
    validation = prepared([row for row in RATED if row.label == 0], "rated")
    assert validation.names == ()
    assert validation.measure(*embeddings(validation)) == {}
    assert validation.measure_questions(*embeddings(validation)) == {}


def test_an_unknown_figure_fails_with_the_list() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'ncdg@10'.*did you mean 'ndcg@10'.*recall@5.*map, loss"):
        prepared(metric="ncdg@10")
    with pytest.raises(InvalidArgumentError, match="auc"):
        prepared(metric="auc")
    assert "auc" in prepared(RATED, "rated", metric="auc").names


def test_any_cutoff_can_be_asked_for() -> None:
    assert "recall@7" not in prepared().names
    assert {"recall@7", "ndcg@7"} <= set(prepared(metric="recall@7").names)
    assert prepared(metric="loss", cutoffs=[2]).cutoffs == (2,)
    assert not higher_is_better("loss")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"rows": []}, "no validation rows"), ({"max_texts": 1}, "at least 2"), ({"cutoffs": [0]}, "begin with 1")],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        prepared(**arguments)  # type: ignore[arg-type]


def test_embeddings_must_fit_and_be_finite() -> None:
    validation = prepared()
    queries, passages = embeddings(validation)
    for wrong in ((queries[:1], passages), (queries, passages[:, :2]), (queries[0], passages)):
        with pytest.raises(InvalidArgumentError, match="2 queries and 4 passages"):
            validation.measure(*wrong)
    queries[0, 0] = np.nan
    with pytest.raises(InvalidArgumentError, match="diverged"):
        validation.measure(queries, passages)


TEXTS = st.sampled_from("abcdefgh")
DRAWN = st.lists(
    st.builds(lambda query, response, negatives: (f"{query}?", response, *negatives), TEXTS, TEXTS, st.lists(TEXTS)),
    min_size=1,
    max_size=12,
)


@given(DRAWN, DRAWN, st.integers(2, 30), st.integers(0, 5))
@settings(max_examples=100)
def test_the_budget_is_kept_and_answers_are_whole(
    held_out: list[tuple[str, ...]], train: list[tuple[str, ...]], most: int, seed: int
) -> None:
    rows, others = read_rows(held_out).rows, read_rows(train).rows
    validation = prepared(rows, others=others, max_texts=most, seed=seed)
    size = len(validation.queries) + len(validation.passages)
    assert size <= most or len(validation.queries) == 1
    assert len(validation.queries) + validation.left_out == len({row.query for row in rows})
    everything = {text for row in [*rows, *others] for text in (row.response, *row.negatives)}
    assert size >= 2
    assert set(validation.passages) <= everything
    if validation.left_out == 0 and most >= len(validation.queries) + len(everything):
        assert set(validation.passages) == everything
    for number, place in enumerate(validation.answered):
        first, last = validation.truth.offsets[number : number + 2]
        found = {validation.passages[one] for one in validation.truth.passages[first:last]}
        assert found == {row.response for row in [*rows, *others] if row.query == validation.queries[place]}
    again = prepared(rows[::-1], others=others[::-1], max_texts=most, seed=seed)
    assert (again.queries, again.passages) == (validation.queries, validation.passages)
    assert again.truth.passages.tolist() == validation.truth.passages.tolist()
