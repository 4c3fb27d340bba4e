"""Rows as columns."""

from __future__ import annotations

import numpy as np

from ragtime.services.model_finetuner.dataset import DataShape, Row, columns
from ragtime.services.model_finetuner.planning import number_texts

ROWS = [
    Row("1", "a?", "yes", ("no", "never"), label=1.0, scores=(0.9, 0.2, 0.1)),
    Row("2", "b?", "well", label=0.75, scores=(0.5,), weight=2.0),
]


def test_triplets_are_padded() -> None:
    made = columns(ROWS, "triplets")
    assert made.texts == [["a?", "b?"], ["yes", "well"], ["no", None], ["never", None]]
    assert number_texts(made.texts).cells.tolist() == [[0, 1, 2, 3], [4, 5, -1, -1]]
    assert made.weights.tolist() == [1.0, 2.0]
    assert made.labels is not None
    assert made.labels.tolist() == [1.0, 0.75]
    assert made.weights.dtype == made.labels.dtype == np.float32
    assert made.scores is None


def test_scores_stand_beside_the_texts() -> None:
    made = columns(ROWS, "scored")
    assert made.scores is not None
    np.testing.assert_array_equal(made.scores, np.array([[0.9, 0.2, 0.1], [0.5, np.nan, np.nan]], np.float32))
    assert made.scores.shape == (2, len(made.texts) - 1)


def test_other_shapes_have_no_negatives() -> None:
    shapes: list[DataShape] = ["pairs", "rated", "graded"]
    assert [len(columns(ROWS, shape).texts) for shape in shapes] == [2, 2, 2]


def test_labels_are_all_there_or_none_is() -> None:
    assert columns([ROWS[0], Row("3", "c?", "so")], "pairs").labels is None
    assert columns([], "pairs").labels is None
    assert columns([], "pairs").texts == [[], []]
