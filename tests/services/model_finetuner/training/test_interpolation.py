"""The end of a run: whether the general check fell, and what is done about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragtime.config.settings import Settings
from ragtime.data.sample import sample_retrieval_set
from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner import EvaluationData, FineTuningConfig, FineTuningMetrics, ModelFineTuner
from ragtime.testing import tiny_model
from tests.services.model_finetuner.killed_runs import rows_of
from tests.services.model_finetuner.two_worlds import KNOWN, BaseModel, parted, tuner_of

pytestmark = pytest.mark.models

Trainer = Callable[..., FineTuningMetrics]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return BaseModel(tmp_path_factory.mktemp("base"))


def told(metrics: FineTuningMetrics) -> tuple[str, str]:
    """What the run says of the line."""
    (choice,) = [choice for choice in metrics.choices if choice.name == "interpolation"]
    return choice.value, choice.reason


def weights(metrics: FineTuningMetrics) -> bytes:
    return (metrics.model_path / "model.safetensors").read_bytes()


def forgetful(base: BaseModel, folder: Path, **fields: Any) -> tuple[ModelFineTuner, FineTuningMetrics]:
    """Tune so hard that the general check falls."""
    train, held, _ = parted(0)
    tuner = tuner_of(folder, base, **{"num_epochs": 8, "learning_rate": 0.02, **fields})
    return tuner, tuner.train(train, held)


@pytest.mark.slow
def test_a_planted_fall_is_won_back_and_most_of_the_gain_is_kept(base: BaseModel, tmp_path: Path) -> None:
    """By the questions that chose the place, and by the other half of the general ones, which had no part in it."""
    tuner, metrics = forgetful(base, tmp_path)
    hard, there = forgetful(base, tmp_path, interpolation="off")
    search = metrics.interpolation
    assert search is not None
    assert there.interpolation is None
    assert 0 < search.alpha < 1
    assert told(metrics)[0] == f"{search.alpha:g}"
    assert "of the general check, 30 questions of examples, went from" in told(metrics)[1]
    assert search.base.general - search.tuned.general > 0.1
    assert search.share_won_back is not None
    assert search.share_won_back >= 0.8

    def general(one: ModelFineTuner, **model: Any) -> float:
        return one.evaluate(KNOWN[1::2], **model).figures["ndcg@10"]

    start, tuned, chosen = general(tuner, model=base.path), general(hard), general(tuner)
    assert start - tuned > 0.1
    assert (chosen - tuned) / (start - tuned) >= 0.8

    new = parted(0)[2]
    start, tuned, chosen = (
        one.figures["ndcg@10"]
        for one in (tuner.evaluate(new, model=base.path), hard.evaluate(new), tuner.evaluate(new))
    )
    assert (chosen - start) / (tuned - start) > 0.6


def test_the_saved_model_is_that_of_the_place(base: BaseModel, tmp_path: Path) -> None:
    tuner, metrics = forgetful(base, tmp_path)
    search = metrics.interpolation
    assert search is not None
    assert metrics.validation["ndcg@10"] == pytest.approx(search.chosen.target)
    assert tuner.evaluate(KNOWN[::2]).figures["ndcg@10"] == pytest.approx(search.chosen.general, abs=1e-6)
    about = json.loads((metrics.model_path / "ragtime.json").read_text())
    assert about["interpolation"]["alpha"] == search.alpha
    assert FineTuningMetrics.model_validate_json((metrics.run_path / "metrics.json").read_text()) == metrics


def test_the_same_run_chooses_the_same_place(base: BaseModel, tmp_path: Path) -> None:
    first, again = (forgetful(base, tmp_path / name)[1] for name in ("first", "again"))
    assert first.interpolation == again.interpolation
    assert weights(first) == weights(again)


@pytest.mark.slow
@pytest.mark.parametrize(
    "fields",
    [
        {"strategy": "lora", "lora_rank": 16, "learning_rate": 0.1, "num_epochs": 16},
        {"strategy": "adapter", "adapter_method": "oft", "learning_rate": 0.2, "num_epochs": 12},
        {"strategy": "adapter", "adapter_query_only": True, "learning_rate": 0.2},
        {"frozen_layers": 1, "learning_rate": 0.05, "num_epochs": 16},
    ],
    ids=["lora", "oft", "head, queries only", "frozen"],
)
def test_every_strategy_has_its_line(base: BaseModel, tmp_path: Path, fields: dict[str, Any]) -> None:
    tuner, metrics = forgetful(base, tmp_path, **fields)
    search = metrics.interpolation
    assert search is not None
    assert search.share_won_back is not None
    assert search.share_won_back >= 0.8
    assert search.base.general == pytest.approx(
        tuner.evaluate(KNOWN[::2], model=base.path).figures["ndcg@10"], abs=1e-3
    )
    assert tuner.evaluate(KNOWN[::2]).figures["ndcg@10"] == pytest.approx(search.chosen.general, abs=1e-3)


def test_where_nothing_falls_the_tuned_weights_are_kept_bit_by_bit(train: Trainer, tmp_path: Path) -> None:
    data = rows_of()
    searched = train(data[:50], data[50:], interpolation="auto")
    off = train(data[:50], data[50:], output_dir=tmp_path / "off")
    assert searched.interpolation is None
    value, reason = told(searched)
    assert value == "none"
    assert "questions of sample, went from" in reason
    assert reason.endswith("that is no fall")
    assert told(off) == ("none", "as configured")
    assert weights(searched) == weights(off)
    assert searched.validation == off.validation


@pytest.mark.parametrize(
    ("held_out", "fields", "reason"),
    [
        ([], {"validation_split": 0}, "there is no validation data to choose a place by"),
        (rows_of()[50:], {"strategy": "quantized"}, "weights between rounded ones are not rounded"),
    ],
)
def test_where_nothing_is_searched_the_reason_is_told(
    train: Trainer, held_out: list[Any], fields: dict[str, Any], reason: str
) -> None:
    metrics = train(rows_of()[:50], held_out or None, interpolation="auto", **fields)
    assert told(metrics) == ("none", reason)


def test_a_loader_that_gives_the_trained_model_again_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model()
    metrics = tuner_of(tmp_path, lambda _: model).train(rows_of()[:50], rows_of()[50:])
    assert told(metrics) == ("none", "model_loader gives no second base model")
    assert "model_loader gave the model that was trained" in caplog.text


def test_the_general_data_are_part_of_the_run(train: Trainer, tmp_path: Path) -> None:
    data = rows_of()
    train = partial(train, interpolation="auto")
    file = tmp_path / "general.jsonl"
    file.write_text("".join(json.dumps({"query": query, "response": response}) + "\n" for query, response in data[:20]))
    own = train(data[:50], data[50:], general_data=file)
    assert "20 questions of general.jsonl" in told(own)[1]
    assert own.run_path != train(data[:50], data[50:]).run_path
    moved = file.rename(tmp_path / "moved.jsonl")
    assert train(data[:50], data[50:], general_data=moved) == own
    assert "general_data" not in json.loads((own.model_path / "ragtime.json").read_text())["config"]


def test_general_data_are_drawn_from_unless_they_are_prepared(tmp_path: Path) -> None:
    config = FineTuningConfig(num_epochs=1, batch_size=16, max_seq_length=32, output_dir=tmp_path / "models")
    settings = Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")
    sample, counts = sample_retrieval_set(reserved=False), []
    for given in (sample, EvaluationData.of(sample)):
        tuner = ModelFineTuner(config, settings=settings, model_loader=lambda _: tiny_model(), general_data=given)
        reason = told(tuner.train(rows_of()[:50], rows_of()[50:]))[1]
        counts.append(int(reason.partition("check, ")[2].partition(" questions")[0]))
    assert counts[0] < counts[1] == len(sample.judged_queries) == 413


def test_general_data_that_tell_nothing_are_refused_before_the_first_step(train: Trainer, tmp_path: Path) -> None:
    data = rows_of()
    with pytest.raises(StorageError, match="no file or folder"):
        train(data[:50], data[50:], interpolation="auto", general_data=tmp_path / "nowhere.jsonl")
    documents = [Document(id=name, text=name) for name in "ab"]
    unjudged = RetrievalSet.from_documents(documents, {"q": "which?"}, {})
    with pytest.raises(InvalidArgumentError, match="no judgements"):
        ModelFineTuner(model_loader=lambda _: tiny_model(), general_data=unjudged).train(data[:50], data[50:])
    assert not list(tmp_path.glob("**/model.safetensors"))


def test_the_general_check_of_the_training_and_that_of_the_gate_share_no_question() -> None:
    searched, kept = EvaluationData.sample(reserved=False), EvaluationData.sample(reserved=True)
    assert not searched.questions.keys() & kept.questions.keys()
    assert len(kept.questions) == 100
    drawn = EvaluationData.sample(reserved=False, max_texts=400)
    assert drawn.questions.keys() < searched.questions.keys()
    assert len(drawn.validation.queries) + len(drawn.validation.passages) == 400
    assert np.isfinite(drawn.validation.truth.grades).all()
