"""Results of evaluations: in order, whole, and the same after a file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.services.model_finetuner.comparison import EvaluationResult, read_evaluation, write_evaluation
from tests.services.model_finetuner.comparison.scores import result

NAMES: dict[str, str] = {"model_id": "m", "model_name": "m", "data_name": "d", "data_fingerprint": "f"}
IDS = st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), unique=True, min_size=1)


def test_the_figures_are_means_and_those_of_all_the_data() -> None:
    found = EvaluationResult.from_questions(
        ["b", "a"], {"ndcg@10": np.array([0.5, 1.0]), "map": [0.0, 1.0]}, other_figures={"auc": 0.9}, **NAMES
    )
    assert found.question_ids == ("a", "b")
    assert dict(found.by_question) == {"ndcg@10": (1.0, 0.5), "map": (1.0, 0.0)}
    assert dict(found.figures) == {"ndcg@10": 0.75, "map": 0.5, "auc": 0.9}
    assert found.questions == 2


def test_pairs_alone_have_no_questions() -> None:
    found = EvaluationResult.from_questions([], {}, other_figures={"spearman": 0.4}, **NAMES)
    assert (found.questions, dict(found.figures)) == (0, {"spearman": 0.4})


@given(IDS, st.randoms(use_true_random=False), st.data())
@settings(max_examples=50)
def test_the_order_of_questions_changes_nothing(ids: list[str], shuffler: Any, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(0, 1), min_size=len(ids), max_size=len(ids)))
    pairs = list(zip(ids, values, strict=True))
    one = result(values, question_ids=ids)
    shuffler.shuffle(pairs)
    other = result([value for _, value in pairs], question_ids=[key for key, _ in pairs])
    assert one == other
    assert EvaluationResult.model_validate_json(one.model_dump_json()) == one


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(50)
    written = result(values, question_ids=[f"wohin {number}?" for number in range(50)])
    write_evaluation(tmp_path / "deep" / "base.json", written)
    assert read_evaluation(tmp_path / "deep" / "base.json") == written
    write_evaluation(tmp_path / "again.json", read_evaluation(tmp_path / "deep" / "base.json"))
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "deep" / "base.json").read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ('{"version": 2}', "later version"),
        ('{"model_id": "x"}', "no known version"),
        ('{"version": 1, "model_id": "secret"}', "6 wrong fields"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(StorageError, match=message) as caught:
        read_evaluation(path)
    assert "secret" not in str(caught.value)


def test_a_changed_figure_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_evaluation(path, result([0.5, 0.7]))
    told = json.loads(path.read_text())
    told["figures"]["ndcg@10"] = 0.9
    path.write_text(json.dumps(told))
    with pytest.raises(StorageError, match="1 wrong field"):
        read_evaluation(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none\.json"):
        read_evaluation(tmp_path / "none.json")


def test_wrong_numbers_of_values_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="'map' has 1 values for 2 questions"):
        EvaluationResult.from_questions(["a", "b"], {"map": [0.5]}, **NAMES)
    with pytest.raises(InvalidArgumentError, match="map"):
        EvaluationResult.from_questions(["a"], {"map": [0.5]}, other_figures={"map": 0.5}, **NAMES)


@pytest.mark.parametrize(
    ("ids", "by_question", "others"),
    [
        (["a", "a"], {"map": [0.1, 0.2]}, {}),
        (["a"], {"map": [math.nan]}, {}),
        (["a"], {"map": [math.inf]}, {}),
        (["a"], {}, {"auc": 0.5}),
        ([], {}, {}),
        ([], {"map": []}, {}),
        ([" a"], {"map": [0.1]}, {}),
    ],
)
def test_results_that_make_no_sense_are_refused(
    ids: list[str], by_question: dict[str, list[float]], others: dict[str, float]
) -> None:
    with pytest.raises(ValidationError):
        EvaluationResult.from_questions(ids, by_question, other_figures=others, **NAMES)


@pytest.mark.parametrize(
    "change",
    [
        {"question_ids": ("b", "a")},
        {"figures": {}},
        {"figures": {"ndcg@10": 0.7}},
        {"by_question": {"ndcg@10": (0.5,)}},
        {"by_question": {}},
    ],
)
def test_a_record_that_does_not_fit_together_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        result([0.5, 0.7], question_ids=["a", "b"]).model_copy(update=change)
