"""Reading training rows: every kind of input, every column that is known, and what is refused or left out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragtime.errors import InvalidArgumentError
from ragtime.records.training import Lineage, Rater
from ragtime.services.model_finetuner.dataset import ReadRows, read_rows
from ragtime.services.training_data_gen import TrainingExample
from tests.services.training_data_gen.test_example import EXAMPLES

PAIR = ("How long?", "30 days.")


def told(read: ReadRows) -> list[tuple[Any, ...]]:
    return [(row.query, row.response, row.negatives, row.label, row.scores) for row in read.rows]


# --- kinds ------------------------------------------------------------------------------------------------------------


def test_examples_become_rows() -> None:
    lineage = Lineage(
        user_id="ann", conversation_id="c1", turn_ids=("t1", "t2"), document_ids=("d7",), dataset_id="set"
    )
    example = TrainingExample(
        query=PAIR[0],
        response=PAIR[1],
        negatives=("No.",),
        context="Before",
        label=0.9,
        weight=2.0,
        metadata={"parent": "d1", "parents": ["d2"]},
        lineage=lineage,
    )
    read = read_rows([example])
    (row,) = read.rows
    assert (row.id, row.weight, row.label) == (example.id, 2.0, 0.9)
    assert told(read) == [(*PAIR, ("No.",), 0.9, None)]
    assert set(row.groups) == {
        "document:d7",
        "document:d1",
        "document:d2",
        "conversation:ann:c1",
        f"example:{example.id}",
    }
    assert read.dataset_ids == ("set",)
    assert read.lineage == {
        "users": ("ann",),
        "conversations": ("c1",),
        "turns": ("t1", "t2"),
        "documents": ("d7",),
    }


def test_raters_are_among_the_users() -> None:
    lineage = Lineage(
        feedback_ids=("f1",), raters=(Rater(user_id="bob", conversation_id="c2"), Rater()), context_turn_ids=("t0",)
    )
    read = read_rows([TrainingExample(query=PAIR[0], response=PAIR[1], lineage=lineage)])
    assert read.lineage == {
        "users": ("bob",),
        "conversations": ("c2",),
        "context_turns": ("t0",),
        "feedback": ("f1",),
    }


TUPLES = [
    (PAIR, (*PAIR, (), None, None)),
    ((*PAIR, 0.75), (*PAIR, (), 0.75, None)),
    ((*PAIR, True), (*PAIR, (), 1.0, None)),
    ((*PAIR, np.float32(1)), (*PAIR, (), 1.0, None)),
    ((*PAIR, "No."), (*PAIR, ("No.",), None, None)),
    ((*PAIR, "No.", None, "Nope."), (*PAIR, ("No.", "Nope."), None, None)),
]


@pytest.mark.parametrize(("cells", "row"), TUPLES)
@pytest.mark.parametrize("kind", [tuple, list])
def test_tuples_become_rows(cells: tuple[Any, ...], row: tuple[Any, ...], kind: type) -> None:
    assert told(read_rows([kind(cells)])) == [row]


Q, R = PAIR
COLUMNS: list[tuple[dict[str, Any], list[tuple[Any, ...]]]] = [
    ({"query": Q, "response": R}, [(Q, R, (), None, None)]),
    ({"query": Q, "response": R, "id": 7, "context": "Before"}, [(Q, R, (), None, None)]),
    ({"anchor": Q, "positive": R, "negative": "No."}, [(Q, R, ("No.",), None, None)]),
    ({"question": Q, "answer": R}, [(Q, R, (), None, None)]),
    ({"query": Q, "document": R}, [(Q, R, (), None, None)]),
    ({"query": Q, "passage": R, "label": 1}, [(Q, R, (), 1.0, None)]),
    ({"sentence1": Q, "sentence2": R, "score": 0.8}, [(Q, R, (), 0.8, None)]),
    ({"prompt": Q, "chosen": R, "rejected": "No."}, [(Q, R, ("No.",), None, None)]),
    (
        {"query": Q, "response": R, "negative_10": "c", "negative_2": "b", "negative": "a", "negatives": ["d"]},
        [(Q, R, ("a", "b", "c", "d"), None, None)],
    ),
    ({"query": Q, "response": R, "negative_1": "a", "negative_2": None}, [(Q, R, ("a",), None, None)]),
    ({"query": Q, "response": R, "negatives": None, "label": None}, [(Q, R, (), None, None)]),
    (
        {"query": Q, "pos": [R, "A month."], "neg": ["a", "b"]},
        [(Q, R, ("a", "b"), None, None), (Q, "A month.", ("a", "b"), None, None)],
    ),
    (
        {"query": Q, "pos": [R, "A month."], "neg": ["a"], "pos_scores": [3, 2], "neg_scores": [0.5]},
        [(Q, R, ("a",), None, (3.0, 0.5)), (Q, "A month.", ("a",), None, (2.0, 0.5))],
    ),
    ({"query": Q, "positive": R, "negative": "a", "score": 2.5}, [(Q, R, ("a",), None, (2.5, 0.0))]),
    (
        {"query": Q, "response": R, "negatives": ["a", "b"], "scores": [9, 1, 2]},
        [(Q, R, ("a", "b"), None, (9.0, 1.0, 2.0))],
    ),
    ({"texts": [Q, R], "label": 0.8}, [(Q, R, (), 0.8, None)]),
    ({"texts": [Q, R, "a"]}, [(Q, R, ("a",), None, None)]),
    ({"query": Q, "responses": [R, "a"], "labels": [0.9, 0]}, [(Q, R, ("a",), 0.9, None)]),
    (
        {"query": Q, "responses": ["a", R, "A month."], "labels": [0, 1, 1]},
        [(Q, R, ("a",), 1.0, None), (Q, "A month.", ("a",), 1.0, None)],
    ),
    ({"query": Q, "responses": ["a", R, "b"], "labels": [0.1, 0.9, 0]}, [(Q, R, ("a", "b"), None, (0.9, 0.1, 0.0))]),
    ({"query": Q, "responses": ["a", R], "scores": [1, 7]}, [(Q, R, ("a",), None, (7.0, 1.0))]),
    (
        {
            "messages": [
                {"role": "system", "content": "Before"},
                {"role": "user", "content": Q},
                {"role": "assistant", "content": R},
            ]
        },
        [(Q, R, (), None, None)],
    ),
]


@pytest.mark.parametrize(("row", "rows"), COLUMNS, ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_columns_become_rows(row: dict[str, Any], rows: list[tuple[Any, ...]]) -> None:
    assert sorted(told(read_rows([row]))) == sorted(rows)


def test_a_data_set_of_hugging_face_is_read() -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"anchor": ["a?", "b?"], "positive": ["yes", "no"]}
    assert read_rows(datasets.Dataset.from_dict(rows)) == read_rows([("a?", "yes"), ("b?", "no")])
    splits = datasets.DatasetDict(train=datasets.Dataset.from_dict(rows))
    with pytest.raises(InvalidArgumentError, match="DatasetDict; give one of its splits"):
        read_rows(splits)


@given(st.lists(EXAMPLES.filter(lambda one: one.is_positive), min_size=1, max_size=6), st.randoms())
@settings(max_examples=40)
def test_examples_and_their_dumps_are_equal_in_any_order(examples: list[TrainingExample], random: Any) -> None:
    read = read_rows(examples)
    assert read_rows(iter(examples)) == read
    dumps = [example.model_dump(mode="json") for example in examples]
    random.shuffle(dumps)
    assert read_rows(dumps) == read
    assert [row.id for row in read.rows] == sorted({example.id for example in examples})
    assert read.given == len(examples) == len(read.rows) + sum(read.dropped.values())


def test_the_fingerprint_tells_rows_apart() -> None:
    base = {"query": Q, "response": R}
    rows: list[dict[str, Any]] = [
        base,
        base | {"weight": 2},
        base | {"negative": "a"},
        base | {"label": 1},
        {"query": R, "response": Q},
    ]
    assert len({read_rows([row]).fingerprint for row in rows}) == len(rows)
    assert len({read_rows([row]).rows[0].id for row in rows}) == len(rows) - 1  # a weight is no text and no label
    assert read_rows([(*PAIR, "a")]).fingerprint == read_rows([rows[2]]).fingerprint


# --- what is left out -------------------------------------------------------------------------------------------------


def test_blank_texts_are_left_out_and_counted() -> None:
    read = read_rows([("", "x"), ("x", " \n"), (None, "x"), PAIR, (*PAIR, "", "no"), (*PAIR, R, "\ud800")])
    assert read.dropped == {
        "it stands there more than once": 1,  # but for negatives that were left out
        "the query is blank": 2,
        "the response is blank": 1,
    }
    assert read.negatives_dropped == {
        "it is the row's own response": 1,
        "the negative holds lone surrogates": 1,
        "the negative is blank": 1,
    }
    assert read.given == 6 == len(read.rows) + sum(read.dropped.values())


def test_negatives_that_are_none_are_left_out() -> None:
    read = read_rows([{"query": Q, "response": R, "negatives": [R, "\ud800", "a", "a"], "scores": [4, 4, 3, 2, 2]}])
    assert told(read) == [(Q, R, ("a",), None, (4.0, 2.0))]
    assert read.negatives_dropped == {
        "it is the row's own response": 1,
        "it stands in the row more than once": 1,
        "the negative holds lone surrogates": 1,
    }
    assert read_rows([PAIR, (Q, "\udcff")]).dropped == {"the response holds lone surrogates": 1}


def test_an_example_with_a_blank_text_is_left_out_not_refused() -> None:
    read = read_rows([{"query": " ", "response": "x", "lineage": {}}, {"query": Q, "response": R, "lineage": {}}])
    assert read.dropped == {"the query is blank": 1}


def test_equal_examples_become_one_with_the_weight_and_the_lineage_of_all() -> None:
    lineages = [Lineage(document_ids=("d1",)), Lineage(document_ids=("d2",), dataset_id="s")]
    examples = [
        TrainingExample(query=Q, response=R, lineage=lineage, weight=weight)
        for lineage, weight in zip(lineages, [2.0, 1.0], strict=True)
    ]
    read = read_rows(examples)
    (row,) = read.rows
    assert row.weight == 2.0
    assert {"document:d1", "document:d2"} <= set(row.groups)
    assert read.lineage["documents"] == ("d1", "d2")
    assert read_rows(examples[::-1]) == read


@pytest.mark.parametrize("data", [[], (), iter([]), {}.values()])
def test_empty_data_hold_no_training_rows(data: Any) -> None:
    with pytest.raises(ValueError, match="no training rows"):
        read_rows(data)


def test_blank_data_hold_no_training_rows() -> None:
    with pytest.raises(InvalidArgumentError, match="no training rows left of 2: 2 × the query is blank"):
        read_rows([("", "x"), (" ", "y")])


# --- what is refused --------------------------------------------------------------------------------------------------

EXAMPLE = TrainingExample(query=Q, response=R)
REFUSED: list[tuple[Any, str]] = [
    (None, "found NoneType"),
    (7, "found int"),
    (EXAMPLE, "several TrainingExample"),
    ({"query": Q, "response": R}, "found dict"),
    ([7], "place 0: expected TrainingExample, dicts"),
    ([PAIR, EXAMPLE], "place 0 holds a tuple or list, place 1 a TrainingExample"),
    ([{"query": Q, "response": R}, PAIR], "place 0 holds a dict, place 1 a tuple or list"),
    ([EXAMPLE, None], "place 1: expected"),
    ([("only",)], "place 0.*found 1 items"),
    ([PAIR, (Q, 7)], "place 1: the response must be a text, found int"),
    ([(Q, R, "a", 0.5)], "place 0.*found float behind the response"),
    ([(Q, R, 0.5, "a")], "place 0.*found float behind the response"),
    ([(Q, R, float("nan"))], "place 0: the label must be a number, found one that is not finite"),
    ([{"query": Q, "respose": R}], r"place 0.*'respose' is not known; did you mean 'response'.*sentence1"),
    ([{"query": Q}], r"place 0: the columns 'query' are no training row; accepted are"),
    ([{"query": Q, "response": R, "texts": [Q, R]}], "no training row"),
    ([{"query": Q, "question": Q, "response": R}], "'query' and 'question' mean the same"),
    ([{"query": Q, "response": [R]}], "place 0: response must be a text, found list"),
    ([{"query": Q, "response": R, "negatives": "a"}], "negatives must be a list, found str"),
    ([{"query": Q, "response": R, "negatives": ["a", 3]}], "each of negatives must be a text, found int"),
    ([{"query": Q, "response": R, "label": "1"}], "label must be a number, found str"),
    ([{"query": Q, "response": R, "label": 1, "score": 1}], "a label and a score"),
    ([{"query": Q, "response": R, "weight": 0}], "weight must be above 0"),
    ([{"query": Q, "response": R, "negatives": ["a", "b"], "score": 1}], "found 2 negatives"),
    ([{"query": Q, "response": R, "negative": "a", "scores": [1]}], "1 and 1; found 1 and 0"),
    ([{"query": Q, "pos": [R, "b"], "neg": ["a"], "scores": [1, 2, 3]}], "pos_scores and neg_scores"),
    ([{"query": Q, "responses": [R], "labels": [1, 0]}], "found 1 and 2"),
    ([{"texts": [Q]}], "found 1 items"),
    ([{"messages": [{"role": "user", "content": Q}]}], "must end with one of the user"),
    ([{"messages": ["hello"]}], "objects with role and content"),
    ([{"query": Q, "response": R, "lineage": {}, "label": 7}], "place 0.*but it is none: label: "),
    ([{"query": Q, "response": R, "lineage": {}, "id": "other"}], "id is not that of the content"),
    ([(Q, R, -1), PAIR], "found -1.0 to -1.0"),
    ([(Q, R, 6), (Q, R, 5)], "from 0 to 1, or from 0 to 5; found 5.0 to 6.0"),
]


@pytest.mark.parametrize(("data", "message"), REFUSED)
def test_wrong_data_are_refused_with_their_place(data: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        read_rows(data)
    assert Q not in str(caught.value)  # no text of a user


def test_a_text_is_a_path() -> None:
    with pytest.raises(Exception, match=r"no file or folder.*\[\(query, response\), …\]"):
        read_rows(["How long are returns free?", "30 days."])
    with pytest.raises(Exception, match="no file or folder"):
        read_rows(Path("nowhere.jsonl"))


def test_reading_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read_rows([PAIR, PAIR])
        with pytest.raises(InvalidArgumentError):
            read_rows([])
    assert [record.getMessage() for record in caplog.records] == [
        "read_training_rows finished",
        "read_training_rows failed",
    ]
    assert Q not in caplog.text
