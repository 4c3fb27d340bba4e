"""The shape of a data set: a table of what was given and what it means, with what falls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.services.model_finetuner.dataset import fits, read_rows
from ragtime.services.training_data_gen import Lineage, TrainingExample

PAIR = ("a?", "yes")
FULL: dict[str, Any] = {"query": "a?", "response": "yes"}
MANY = [(f"q{number}?", f"yes {number}", 1) for number in range(4)]
TAUGHT = FULL | {"negative": "no", "scores": [0.9, 0.1]}


def examples(*rows: tuple[Any, ...]) -> list[TrainingExample]:
    return [
        TrainingExample(query=query, response=response, label=label, negatives=tuple(negatives))
        for query, response, label, *negatives in rows
    ]


TABLE: list[tuple[Iterable[Any], str, str]] = [
    ([PAIR], "pairs", "no row has negatives"),
    ([(*PAIR, 1), ("b?", "no", 1)], "pairs", "no label says"),
    ([(*PAIR, 0.8), ("b?", "no", 1)], "pairs", "no label says"),
    ([(*PAIR, 4), ("b?", "no", 5)], "pairs", "divided by 5"),
    (examples((*PAIR, 1.0)), "pairs", "no label says"),
    ([(*PAIR, "no"), ("b?", "well")], "triplets", "1 of 2 rows whose responses fit have negatives"),
    (examples((*PAIR, 1.0, "no"), ("b?", "no", 0.0)), "triplets", "1 of 1 rows"),
    ([(*PAIR, 1), ("b?", "no", 0)], "rated", "1 of 2 responses do not fit"),
    ([(*PAIR, True), ("b?", "no", False)], "rated", "good or bad"),
    (examples((*PAIR, 1.0), ("b?", "no", 0.0)), "rated", "good or bad"),
    ([(*PAIR, 5), ("b?", "no", 0)], "rated", "good or bad"),
    ([*MANY, ("b?", "no", 0)], "pairs", "only 1 of 5 responses do not fit"),
    ([*MANY, ("q1?", "no", 0)], "triplets", "1 of 4 rows whose responses fit"),
    ([*MANY[:3], ("b?", "no", 0)], "rated", "1 of 4"),
    ([(*PAIR, 0.7), ("b?", "no", 0.2)], "graded", "2 of 2 labels lie between"),
    ([(*PAIR, 4.5), ("b?", "no", 1)], "graded", "divided by 5"),
    ([TAUGHT], "scored", "1 of 1 rows have teacher scores"),
    ([TAUGHT, FULL | {"query": "b?"}], "scored", "1 of 2"),
    ([TAUGHT, FULL | {"query": "b?"}, FULL | {"query": "c?"}], "triplets", "1 of 3"),
    ([{"anchor": "a?", "positive": "yes", "negative": "no", "score": -1.5}], "scored", "1 of 1"),
]


@pytest.mark.parametrize(("data", "shape", "reason"), TABLE)
def test_the_shape_follows_from_the_rows(data: Any, shape: str, reason: str) -> None:
    read = read_rows(data)
    assert read.shape == shape
    assert reason in read.reason
    assert read.given == len(read.rows) + sum(read.dropped.values())


def test_labels_up_to_five_are_brought_to_one() -> None:
    read = read_rows([("a?", "yes", 5), ("b?", "so", 2.5), ("c?", "no", 0)])
    assert sorted(row.label or 0.0 for row in read.rows) == [0.0, 0.5, 1.0]


def test_bad_responses_become_negatives_of_their_query() -> None:
    bad = TrainingExample(query="a?", response="bad", label=0.0, lineage=Lineage(document_ids=("d1",)))
    lost = TrainingExample(query="z?", response="bad", label=0.5, lineage=Lineage(document_ids=("d2",)))
    read = read_rows([*examples(("a?", "yes", 1.0, "no"), ("a?", "bad", 0.2), ("b?", "well", 1.0)), bad, lost])
    assert {row.query: row.negatives for row in read.rows} == {"a?": ("no", "bad"), "b?": ()}
    assert read.dropped == {
        "its response does not fit its query": 1,
        "its response does not fit, and is a negative of its query's other rows": 2,
    }
    assert read.lineage["documents"] == ("d1",)  # what became a negative has taught something, what fell has not


def test_a_response_that_is_good_elsewhere_is_no_negative() -> None:
    read = read_rows(examples(("a?", "yes", 1.0, "no"), ("a?", "well", 1.0), ("a?", "well", 0.0)))
    assert {row.response: row.negatives for row in read.rows} == {"yes": ("no",), "well": ()}
    assert read.dropped == {"its response does not fit its query": 1}


def test_rows_without_a_label_count_as_good_among_labelled_ones() -> None:
    read = read_rows([FULL, FULL | {"query": "b?", "label": 0}])
    assert (read.shape, sorted(row.label or 0.0 for row in read.rows)) == ("rated", [0.0, 1.0])
    assert "rows without a label count as good: 1" in read.reason


def test_negatives_of_bad_responses_alone_make_no_triplets() -> None:
    read = read_rows([FULL, FULL | {"query": "b?", "response": "no", "label": 0, "negatives": ["x", "y"]}])
    assert read.shape == "rated"
    assert read.negatives_dropped == {"its row is labelled, and no response that fits has negatives": 2}


def test_negatives_of_bad_responses_serve_their_query() -> None:
    bad = FULL | {"response": "no", "label": 0, "negatives": ["x", "yes"]}
    other = FULL | {"query": "b?", "response": "no", "label": 0, "negatives": ["x"]}
    read = read_rows([FULL | {"negatives": ["y"]}, bad, other])
    assert [row.negatives for row in read.rows] == [("y", "no", "x")]
    assert read.negatives_dropped == {"its row was left out": 1}


def test_scored_rows_need_scores_and_negatives() -> None:
    read = read_rows([TAUGHT, FULL | {"query": "b?", "scores": [1]}, FULL | {"query": "c?"}])
    assert read.dropped == {
        "it has no teacher scores, which others have": 1,
        "it has teacher scores, but no negatives": 1,
    }
    with pytest.raises(InvalidArgumentError, match="no training rows left of 1: 1 × it has teacher scores, but"):
        read_rows([FULL | {"scores": [1]}])


def test_lists_of_labels_serve_as_scores_beside_graded_ones() -> None:
    graded = {"query": "a?", "responses": ["yes", "so"], "labels": [0.9, 0.4]}
    flat = {"query": "b?", "responses": ["yes", "no"], "labels": [1, 0]}
    assert read_rows([flat]).shape == "triplets"
    read = read_rows([graded, flat])
    assert read.shape == "scored"
    assert sorted(row.scores or () for row in read.rows) == [(0.9, 0.4), (1.0, 0.0)]


@pytest.mark.parametrize("data", [[(*PAIR, 0)], [(*PAIR, 0.5), ("b?", "no", 0.2)], examples((*PAIR, 0.0))])
def test_bad_responses_alone_are_refused(data: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"label of at most 0\.5.*nothing to retrieve"):
        read_rows(data)


def test_an_odd_scale_is_told_when_nothing_fits() -> None:
    with pytest.raises(InvalidArgumentError, match="divided by 5"):
        read_rows([(*PAIR, 2), ("b?", "no", 1)])


TEXTS = st.sampled_from(["a", "b", "c", "d"])
LABELS = st.none() | st.sampled_from([0.0, 0.25, 0.75, 1.0])


@given(
    st.lists(
        st.fixed_dictionaries(
            {"query": TEXTS, "response": TEXTS, "label": LABELS, "negatives": st.lists(TEXTS, max_size=2)}
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=150)
def test_rows_suit_their_shape_and_numbers_add_up(data: list[dict[str, Any]]) -> None:
    if not any(row["label"] is None or row["label"] > 0.5 for row in data):
        with pytest.raises(InvalidArgumentError, match="nothing to retrieve"):
            read_rows(data)
        return
    read = read_rows(data)
    assert read == read_rows(data[::-1])
    assert read.given == len(data) == len(read.rows) + sum(read.dropped.values())
    assert [row.id for row in read.rows] == sorted({row.id for row in read.rows})
    for row in read.rows:
        assert row.response not in row.negatives
        assert len(set(row.negatives)) == len(row.negatives)
    if read.shape in {"pairs", "triplets"}:
        assert all(map(fits, read.rows))
        assert any(row.negatives for row in read.rows) == (read.shape == "triplets")
    else:
        labels = {row.label for row in read.rows}
        assert None not in labels
        assert (labels == {0.0, 1.0}) == (read.shape == "rated")
        assert not any(row.negatives for row in read.rows)
