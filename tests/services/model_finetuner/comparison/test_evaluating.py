"""One model measured: its figures, and what it is called."""

from __future__ import annotations

import logging
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.errors import BackendError, InvalidArgumentError
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner import EvaluationData
from ragtime.services.model_finetuner.comparison import OpenedModel, compare, evaluate_model, open_model
from ragtime.testing import HashEncoder, tiny_encoder, tiny_model

NAMES = "anna boris clara david emma felix".split()
ROWS = [(f"where is {name}?", f"{name} is in the garden") for name in NAMES]


def measured(data: Any, *, seed: int = 0, query_prompt: str = "") -> Any:
    encoder = HashEncoder(seed=seed, query_prompt=query_prompt)
    return evaluate_model(OpenedModel(f"hash {seed}", encoder), EvaluationData.of(data))


def test_figures_of_every_question_and_their_means() -> None:
    found = measured(ROWS)
    assert (found.questions, found.model_name, found.data_name) == (6, "hash 0", "examples")
    assert found.figures["ndcg@10"] == found.figures["accuracy@1"] == 1.0
    assert {*found.by_question} == {*found.figures}
    assert {f"{kind}@{k}" for kind in ("ndcg", "mrr", "recall", "accuracy") for k in (1, 3, 5, 10, 100)} < {
        *found.figures
    }
    assert "map" in found.figures


def test_the_figures_are_those_of_the_definition() -> None:
    """The answer of the one question is second: another passage shares more words with it."""
    data = RetrievalSet.from_documents(
        [Document(id="a", text="anna garden"), Document(id="b", text="where is anna"), Document(id="c", text="other")],
        {"q": "where is anna", "r": "other"},
        {"q": {"a": 2}, "r": {"c": 1}},
    )
    found = measured(data)
    assert found.question_ids == ("q", "r")
    assert found.by_question["ndcg@10"] == pytest.approx((0.6309297535714575, 1.0))
    assert found.by_question["mrr@10"] == (0.5, 1.0)
    assert found.by_question["recall@1"] == (0.0, 1.0)
    assert found.by_question["map"] == (0.5, 1.0)


def test_labelled_pairs_have_figures_of_their_own() -> None:
    pytest.importorskip("scipy")
    bad = [(query, other, 0) for (query, _), (_, other) in pairwise(ROWS)]
    found = measured([(query, response, 1) for query, response in ROWS] + bad)
    assert found.figures["auc"] == found.figures["average_precision"] == 1.0
    assert found.figures["spearman"] > 0.8
    assert {"auc", "pearson"}.isdisjoint(found.by_question)


def test_the_id_is_that_of_the_weights_and_prompts() -> None:
    assert measured(ROWS).model_id == measured(ROWS[:3]).model_id
    others = {measured(ROWS, seed=1).model_id, measured(ROWS, query_prompt="query: ").model_id}
    assert len({measured(ROWS).model_id, *others}) == 3


def test_two_models_are_compared_on_the_same_questions() -> None:
    pytest.importorskip("scipy")
    assert compare(measured(ROWS), measured(ROWS, seed=1)).tied == 6
    with pytest.raises(InvalidArgumentError, match="different data"):
        compare(measured(ROWS), measured(ROWS[:3]))


def test_the_end_of_an_evaluation_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ragtime"):
        measured(ROWS)
    (event,) = [record for record in caplog.records if getattr(record, "operation", "") == "evaluate_model"]
    assert (event.questions, event.passages) == (6, 6)


# --- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.models
def test_folders_encoders_and_names_are_opened(tmp_path: Path) -> None:
    tiny_model().save_pretrained(str(tmp_path / "tiny"), create_model_card=False)
    data = EvaluationData.of(ROWS)
    expected = evaluate_model(open_model(tiny_encoder()), data).figures
    for given in (tmp_path / "tiny", str(tmp_path / "tiny")):
        opened = open_model(given)
        assert opened.name == "tiny"
        assert evaluate_model(opened, data).figures == expected
    asked: list[str] = []

    def registry(reference: str) -> Path:
        asked.append(reference)
        return tmp_path / "tiny"

    opened = open_model("registry:support", registry=registry)
    assert opened.name == "registry:support"
    assert evaluate_model(opened, data).figures == expected
    assert asked == ["support"]


def test_an_encoder_is_called_by_its_name_or_class() -> None:
    assert open_model(HashEncoder()).name == "HashEncoder"
    assert open_model(SentenceTransformerEncoder(model_name="some-model")).name == "some-model"


@pytest.mark.parametrize(
    ("model", "message"),
    [(7, "found int"), (" ", "blank"), (object(), "found object")],
    ids=["number", "blank", "object"],
)
def test_what_is_no_model_is_refused(model: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        open_model(model)


def test_what_cannot_be_a_name_is_refused() -> None:
    with pytest.raises(BackendError, match="names no model"):
        open_model("m" * 1_000)
    with pytest.raises(InvalidArgumentError, match="found type"):
        open_model(HashEncoder)  # type: ignore[arg-type]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="nowhere"):
        open_model(tmp_path / "nowhere")
