"""What the old generator said of a set of pairs; §8 of the old calls."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from training_data_generator_compat import TrainingDataGenerator, TrainingPair

pytestmark = pytest.mark.filterwarnings("ignore::ragtime.errors.RagtimeDeprecationWarning")


def _pairs(positives: int, negatives: int, hard: int = 0, twice: int = 0) -> list[TrainingPair]:
    made = [TrainingPair(f"query {number}", f"a document {number}", 1.0) for number in range(positives)]
    made += [TrainingPair(f"query {number}", f"no document {number}", 0.0) for number in range(negatives)]
    made += [
        TrainingPair(f"query {number}", f"like {number}", 0.0, pair_type="hard_negative") for number in range(hard)
    ]
    return made + made[:twice]


def _judged(pairs: Any) -> dict[str, Any]:
    return TrainingDataGenerator().validate_training_data(pairs)


def test_statistics() -> None:
    pairs = [
        TrainingPair("one two", "a b c d", 1.0, pair_type="positive"),
        TrainingPair("one two three", "a", 0.0, pair_type="negative"),
        TrainingPair("one  two\nthree four five", "a b", 0.0, pair_type="hard_negative"),
    ]
    found = _judged(pairs)
    assert found == {
        "valid": False,
        "warnings": ["Insufficient training data: 3 < 20"],
        "statistics": {
            "total_pairs": 3,
            "positive_pairs": 1,
            "negative_pairs": 2,  # hard ones included: G14, which stays
            "hard_negatives": 1,
            "positive_ratio": 0.333,
            "duplicate_ratio": 0.0,
            "avg_query_length": 3.3,
            "avg_document_length": 2.3,
            "query_length_range": [2, 5],
            "document_length_range": [1, 4],
        },
    }
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("counts", "warnings"),
    [
        ({"positives": 10, "negatives": 10}, []),
        ({"positives": 10, "negatives": 9}, ["Insufficient training data: 19 < 20"]),
        ({"positives": 4, "negatives": 16}, []),
        ({"positives": 4, "negatives": 8, "hard": 8}, []),
        ({"positives": 4, "negatives": 17}, ["Too few positive examples: 19.0%"]),
        ({"positives": 16, "negatives": 4}, []),
        ({"positives": 17, "negatives": 4}, ["Too many positive examples: 81.0%"]),
        ({"positives": 9, "negatives": 9, "twice": 2}, []),
        ({"positives": 9, "negatives": 9, "twice": 3}, ["High duplicate ratio: 14.3%"]),
        (
            {"positives": 5, "negatives": 0, "twice": 5},
            [
                "Insufficient training data: 10 < 20",
                "Too many positive examples: 100.0%",
                "High duplicate ratio: 50.0%",
            ],
        ),
        ({"positives": 0, "negatives": 2}, ["Insufficient training data: 2 < 20", "Too few positive examples: 0.0%"]),
    ],
)
def test_limits_and_warnings_in_this_order(counts: dict[str, int], warnings: list[str]) -> None:
    found = _judged(_pairs(**counts))
    assert (found["valid"], found["warnings"]) == (not warnings, warnings)


def test_the_duplicate_ratio_has_3_decimals() -> None:
    assert _judged(_pairs(9, 9, twice=3))["statistics"]["duplicate_ratio"] == 0.143


def test_pairs_are_duplicates_when_query_and_document_are_the_same() -> None:  # G12
    pairs = [TrainingPair("a|b", "c", 1.0), TrainingPair("a", "b|c", 1.0)]
    assert _judged(pairs)["statistics"]["duplicate_ratio"] == 0.0
    assert _judged([*pairs, TrainingPair("a|b", "c", 0.0)])["statistics"]["duplicate_ratio"] == 0.333


@pytest.mark.parametrize("nothing", [[], None, ()])
def test_no_pairs(nothing: Any) -> None:
    assert _judged(nothing) == {"valid": False, "error": "No training pairs provided", "statistics": {}}


@pytest.mark.parametrize("bad", [[1], ["text"], 7, [("q", None, 1.0)], [("q", "d", None)], [("q", "d", "1")]])
def test_bad_input_is_an_error_of_the_same_form(bad: Any) -> None:
    found = _judged([TrainingPair(*one) if isinstance(one, tuple) else one for one in bad] if bad != 7 else bad)
    assert {**found, "error": ""} == {"valid": False, "error": "", "statistics": {}}
    assert found["error"]


@pytest.mark.parametrize("number", [np.int64, np.float32, np.float64])
def test_labels_may_be_numbers_of_numpy_and_the_answer_is_json(number: Any) -> None:
    plain = _pairs(10, 8, 4)
    pairs = [
        TrainingPair(pair.query, pair.document, number(pair.label), pair_type=np.str_(pair.pair_type)) for pair in plain
    ]
    assert json.loads(json.dumps(_judged(pairs))) == _judged(plain)


def test_pairs_may_be_in_an_array() -> None:
    pairs = _pairs(10, 10)
    assert _judged(np.array(pairs, dtype=object)) == _judged(pairs)
    assert _judged(np.array([])) == {"valid": False, "error": "No training pairs provided", "statistics": {}}
