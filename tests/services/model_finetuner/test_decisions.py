"""Models measured, compared and decided on through the facade."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.records import Document, RetrievalSet
from ragtime.services.model_finetuner import Decision, FineTuningConfig, Gate, ModelFineTuner, compare
from ragtime.testing import HashEncoder, tiny_model
from tests.services.model_finetuner.killed_runs import rows_of

pytestmark = pytest.mark.models

HELD_OUT = rows_of()[40:]


@pytest.fixture
def tuner(tmp_path: Path) -> ModelFineTuner:
    config = FineTuningConfig(
        batch_size=16, num_epochs=3, learning_rate=3e-3, max_seq_length=32, precision="float32", validation_split=0
    )
    settings = Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")
    return ModelFineTuner(config, settings=settings, model_loader=lambda _: tiny_model())


def test_the_base_model_is_measured_before_a_training_and_the_tuned_one_after_it(tuner: ModelFineTuner) -> None:
    before = tuner.evaluate(HELD_OUT)
    assert before.model_name == "all-MiniLM-L6-v2"
    metrics = tuner.train(rows_of()[:40])
    after = tuner.evaluate(HELD_OUT)
    assert after.model_name == metrics.model_path.name
    assert (
        after
        == tuner.evaluate(HELD_OUT, model=metrics.model_path)
        == tuner.evaluate(HELD_OUT, model=str(metrics.model_path))
    )
    assert after.figures["ndcg@10"] > before.figures["ndcg@10"]
    found = tuner.compare(HELD_OUT)
    assert found == compare(before, after)
    assert (found.base, found.tuned) == (before.figures["ndcg@10"], after.figures["ndcg@10"])
    assert tuner.compare(HELD_OUT, base=metrics.model_path, tuned=metrics.model_path).tied == 20


def test_the_figures_are_those_of_the_validation_in_training(tuner: ModelFineTuner) -> None:
    """With all passages in it, as the validation of few rows has them."""
    tuner.config = tuner.config.model_copy(update={"interpolation": "off"})
    metrics = tuner.train(rows_of()[:40], HELD_OUT)
    passages = {f"document {number}": response for number, (_, response) in enumerate(rows_of())}
    ids = {text: key for key, text in passages.items()}
    judged = RetrievalSet.from_documents(
        [Document(id=key, text=text) for key, text in passages.items()],
        dict(enumerate_queries()),
        {key: {ids[response]: 1} for (key, _), (_, response) in zip(enumerate_queries(), HELD_OUT, strict=True)},
    )
    found = tuner.evaluate(judged)
    assert dict(found.figures) == pytest.approx(dict(metrics.validation), abs=1e-6)
    base = tuner.evaluate(judged, model=HashEncoder())
    assert base.data_fingerprint == found.data_fingerprint


def enumerate_queries() -> list[tuple[str, str]]:
    return [(f"question {number}", query) for number, (query, _) in enumerate(HELD_OUT)]


def test_a_model_that_has_learned_is_promoted_with_reasons(tuner: ModelFineTuner) -> None:
    tuner.train(rows_of()[:40])
    decision = tuner.decide(HELD_OUT)
    assert decision.promote
    assert decision.general is not None
    assert (decision.general.data_name, decision.general.questions) == ("sample-reserved", 100)
    assert decision.sentence.startswith("Promote the tuned model. ndcg@10 on examples went from")
    assert Decision.model_validate(json.loads(decision.model_dump_json())) == decision


def test_ones_own_general_check_figure_and_gate_count(tuner: ModelFineTuner) -> None:
    tuner.train(rows_of()[:40])
    strict = tuner.decide(HELD_OUT, general=rows_of()[:10], figure="mrr@10", gate=Gate(alpha=1e-9))
    assert not strict.promote
    assert strict.target.figure == "mrr@10"
    assert strict.general is not None
    assert (strict.general.figure, strict.general.questions) == ("ndcg@10", 10)


def test_a_model_is_not_promoted_over_itself(tuner: ModelFineTuner) -> None:
    path = tuner.train(rows_of()[:40]).model_path
    decision = tuner.decide(HELD_OUT, base=path, tuned=path)
    assert not decision.promote
    assert "both are the same model" in decision.sentence


def test_too_few_questions_are_told_with_what_is_missing(tuner: ModelFineTuner) -> None:
    tuner.train(rows_of()[:40])
    rows = HELD_OUT[:4]
    decision = tuner.decide(rows)
    assert not decision.promote
    assert "fewer than 5 show nothing" in decision.sentence or decision.target.difference <= 0
    with pytest.raises(InvalidArgumentError, match="at least 2 questions"):
        tuner.compare([HELD_OUT[0], (HELD_OUT[0][0], HELD_OUT[1][1])])


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        (HELD_OUT, {}, "none was trained here"),
        (HELD_OUT, {"tuned": 7}, "found int"),
        ([], {"tuned": HashEncoder()}, "the data are empty"),
        ([("who?", "Ann.")], {"tuned": HashEncoder()}, "one passage in all"),
        (
            HELD_OUT,
            {"tuned": HashEncoder(), "base": HashEncoder(seed=1), "figure": "ncdg@10"},
            "did you mean 'ndcg@10'",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tuner: ModelFineTuner, data: Any, arguments: dict[str, Any], message: str
) -> None:
    for ask in (tuner.compare, tuner.decide):
        with pytest.raises(InvalidArgumentError, match=message):
            ask(data, **arguments)


def test_a_general_check_without_judgements_is_refused(tuner: ModelFineTuner) -> None:
    unjudged = RetrievalSet(queries={"q": "which?"}, corpus={}, judgements={})
    with pytest.raises(InvalidArgumentError, match="no judgements"):
        tuner.decide(HELD_OUT, tuned=HashEncoder(), general=unjudged)
