"""The loop: from sources to a promoted model, a gate that says no, and too little data."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ragtime.backends.encoders import create_encoder
from ragtime.errors import BackendError, GenerationError, InvalidArgumentError
from ragtime.services.learning import LearningLoop, LearningSources
from ragtime.services.model_finetuner import Gate
from ragtime.services.training_data_gen import TrainingExample
from ragtime.storage.conport import JsonDecisionLog
from ragtime.storage.registry import ModelRegistry
from tests.services.learning.backwards import (
    config_of,
    documents_of,
    examples_of,
    general_pairs,
    hashes_of,
    judged,
    loop_of,
    ratings_of,
    settings_of,
    sources_of,
    stamps_of,
    what_the_base_finds,
    world,
)
from tests.services.learning.conftest import Whole

pytestmark = pytest.mark.models


# --- what comes out -------------------------------------------------------------------------------------------------


def test_a_better_model_is_promoted_and_the_report_says_why(whole: Whole) -> None:
    report, registry = whole.report, ModelRegistry(settings_of(whole.folder))
    assert report.promoted
    version = registry.get("thing")
    assert report.version == f"thing@{version.short}"
    assert [change.action for change in registry.history("thing")] == ["register", "promote"]
    assert version.dataset_ids == (report.data.dataset_id,)
    assert [model.role for model in report.models] == ["base", "tuned"]
    base, tuned = report.models
    figure = tuned.figures["ndcg@10"]
    assert figure.low is not None
    assert figure.high is not None
    assert base.figures["ndcg@10"].value < figure.low <= figure.value <= figure.high
    assert report.decision is not None
    assert report.decision.promote
    assert report.decision.target.tuned == figure.value
    assert tuned.general["ndcg@10"].value == report.decision.general.tuned  # type: ignore[union-attr]
    assert report.next_step == 'embedding.model_name = "registry:thing"'
    assert report.sentence.startswith(f"{report.version} is in production")


def test_the_model_in_production_is_the_one_that_was_measured(whole: Whole) -> None:
    settings = settings_of(whole.folder, embedding__model_name="registry:thing", embedding__dtype="float32")
    encoder = create_encoder(settings, cached=False)
    tuned = whole.report.models[-1]
    from ragtime.services.model_finetuner import EvaluationData
    from ragtime.services.model_finetuner.comparison import OpenedModel, evaluate_model

    measured = evaluate_model(OpenedModel("again", encoder), EvaluationData.of(general_pairs()))
    assert measured.model_id == tuned.model_id
    assert measured.figures["ndcg@10"] == tuned.general["ndcg@10"].value


def test_the_lists_of_the_report_are_filled(whole: Whole) -> None:
    report = whole.report
    assert report.data.held_out is not None
    assert report.data.held_out.source == "held_out"
    assert report.data.held_out.stated == report.data.held_out.questions >= 20
    assert report.data.held_out.unseen_passages == report.data.held_out.questions
    assert report.data.training_pairs >= 40
    assert set(report.data.sources) == {"documents", "feedback"}
    assert len(report.data.kept) == 10
    assert {example.strategy for example in report.data.kept} == {"query_based"}
    assert report.won
    assert report.won[0].after > report.won[0].before
    gains = [one.after - one.before for one in report.won]
    assert gains == sorted(gains, reverse=True)
    assert all(one.after < one.before for one in report.lost)
    for outcome in report.won:
        assert [passage.rank for passage in outcome.ranking_after] == [1, 2, 3, 4, 5]
        if outcome.after == 1.0:
            assert [passage.relevant for passage in outcome.ranking_after] == [True, *[False] * 4]
    assert report.lineage["documents"] == report.data.training_pairs
    assert report.lineage["users"] == 5
    assert report.settings["learning.min_training_pairs"] == 40
    assert report.settings["finetuning.num_epochs"] == 6
    assert report.training is not None
    assert len(report.training.losses) == report.training.steps
    assert report.training.validation[0].step == 0
    assert "torch" in report.packages


def test_the_report_rests_in_the_folder_of_the_run_and_durations_elsewhere(whole: Whole) -> None:
    folder = whole.report.folder
    assert folder == whole.folder / "data" / "learning" / "thing" / whole.report.run_id
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["outcome"] == "promoted"
    assert (folder / "report.html").is_file()
    timings = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert {"data", "base", "training", "tuned", "version", "verdict"} <= timings.keys()
    assert "seconds" not in (folder / "report.json").read_text(encoding="utf-8")
    assert not (folder / "embeddings").exists()


def test_the_same_call_again_returns_the_same_report_and_does_nothing(whole: Whole) -> None:
    folder, registry = whole.folder, ModelRegistry(settings_of(whole.folder))
    before = hashes_of(folder), stamps_of(whole.report.folder or folder), registry.history("thing")
    again = loop_of(folder).run(sources_of(), "thing", general=general_pairs())
    assert again == whole.report
    assert (hashes_of(folder), stamps_of(again.folder or folder), registry.history("thing")) == before


def test_equal_runs_give_the_same_bytes_wherever_and_in_whatever_order(tmp_path: Path, whole: Whole) -> None:
    pairs = world()
    sources = LearningSources(documents=iter(documents_of(pairs)[::-1]), feedback=list(reversed(ratings_of(pairs))))
    report = loop_of(tmp_path).run(sources, "thing", general=general_pairs())
    assert report.run_id == whole.report.run_id
    for name in ("report.json", "report.html"):
        assert (report.folder / name).read_bytes() == (whole.report.folder / name).read_bytes()  # type: ignore[operator]


def test_the_end_is_logged_once_with_its_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="ragtime"):
        loop_of(tmp_path).run(sources_of(world()[:20]), "thing", general=general_pairs())
    (event,) = [record for record in caplog.records if record.message == "learn finished"]
    told = vars(event)
    assert (told["operation"], told["model"], told["outcome"]) == ("learn", "thing", "too_little_data")
    assert told["training_pairs"] > 0
    assert "who paints it" not in caplog.text


def test_the_decision_log_is_told(tmp_path: Path) -> None:
    with JsonDecisionLog(tmp_path / "log") as log:
        report = loop_of(tmp_path, decision_log=log).run(sources_of(world()[:20]), "thing", general=general_pairs())
        assert log.decisions(tags=["learning"])[0].summary == "Train nothing for thing: there is too little data"
        (kept,) = log.custom_data("LearningRuns")
    assert kept.key == report.run_id


# --- the gate says no -----------------------------------------------------------------------------------------------


def test_with_shuffled_ratings_the_gate_says_no_and_nothing_is_promoted(tmp_path: Path) -> None:
    report = loop_of(tmp_path).run(sources_of(shuffled=True), "thing", general=general_pairs())
    assert report.outcome == "kept"
    assert report.decision is not None
    assert not report.decision.promote
    assert report.next_step is None
    registry = ModelRegistry(settings_of(tmp_path))
    assert [change.action for change in registry.history("thing")] == ["register"]
    assert [version.stage for version in registry.list_versions("thing")] == ["candidate"]
    assert "stays in use" in report.sentence


def test_a_model_that_has_forgotten_something_is_not_promoted_and_the_verdict_says_so(tmp_path: Path) -> None:
    report = loop_of(tmp_path).run(sources_of(), "thing", general=what_the_base_finds(tmp_path))
    assert report.outcome == "kept"
    assert report.decision is not None
    assert report.decision.target.p_better <= report.decision.alpha
    assert "has forgotten too much: in the general check, ndcg@10 went from" in report.sentence
    assert [one.stage for one in ModelRegistry(settings_of(tmp_path)).list_versions("thing")] == ["candidate"]


def test_what_is_in_production_has_to_be_beaten_whatever_the_base_was(tmp_path: Path, whole: Whole) -> None:
    settings = settings_of(tmp_path)
    registry = ModelRegistry(settings)
    good = registry.register(ModelRegistry(settings_of(whole.folder)).resolve("thing"), "thing")
    registry.promote("thing", good.version)
    weak = config_of(num_epochs=1, learning_rate=1e-3)
    report = loop_of(tmp_path, finetuning=weak).run(sources_of(), "thing", general=general_pairs())
    assert report.outcome == "kept"
    assert [model.role for model in report.models] == ["base", "in_use", "tuned"]
    base, in_use, tuned = report.models
    assert in_use.reference == f"thing@{good.short}"
    assert report.decision is not None
    assert report.decision.target.base == in_use.figures["ndcg@10"].value > tuned.figures["ndcg@10"].value
    assert base.model_id not in {in_use.model_id, tuned.model_id}
    assert registry.get("thing").version == good.version
    assert report.sentence.startswith(f"thing@{good.short} stays in use")


# --- too little data ------------------------------------------------------------------------------------------------


def test_with_too_little_data_it_says_how_much_is_missing_and_trains_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, learning__min_training_pairs=200, learning__min_held_out_questions=100)
    report = loop_of(tmp_path, settings).run(sources_of(world()[:50]), "thing", general=general_pairs())
    assert report.outcome == "too_little_data"
    pairs, held_out = report.data.training_pairs, report.data.held_out
    assert held_out is not None
    assert (report.data.missing_pairs, report.data.missing_questions) == (200 - pairs, 100 - held_out.questions)
    assert f"{200 - pairs} of at least 200 training pairs are missing" in report.sentence
    assert f"{100 - held_out.questions} of at least 100 held-out questions are missing" in report.sentence
    assert report.models == ()
    assert report.training is None
    assert report.version is None
    assert ModelRegistry(settings).list_models() == []
    assert not (tmp_path / "data" / "models").exists()
    assert report.data.kept
    assert report.folder is not None


def test_ratings_without_documents_are_too_little_data(tmp_path: Path) -> None:
    ratings = [
        {"query": f"{query} number {number}", "response": answer, "rating": 5}
        for number, (query, answer) in enumerate(world())
    ]
    report = loop_of(tmp_path).run(LearningSources(feedback=ratings), "thing", general=general_pairs())
    assert report.outcome == "too_little_data"
    assert (report.data.training_pairs, report.data.dataset_id) == (0, None)
    assert report.data.metrics.rejected["its response is an answer, not a passage"] > 100
    assert report.data.rejected[0].reason == "its response is an answer, not a passage"
    assert report.data.rejected[0].query in {one["query"] for one in ratings}


def test_documents_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="none of the 1 records of documents can be used"):
        loop_of(tmp_path, settings_of(tmp_path, learning__made_up_per_passage=1)).run(
            LearningSources(documents=[{"id": "a"}]), "thing"
        )


# --- what is trained on ---------------------------------------------------------------------------------------------


def test_the_questions_of_a_given_evaluation_are_not_trained_on(tmp_path: Path) -> None:
    pairs = world()
    evaluation = judged(pairs, range(0, 144, 3))
    report = loop_of(tmp_path).run(sources_of(), "thing", evaluation=evaluation, general=general_pairs())
    asked = set(evaluation.queries.values())
    examples = examples_of(tmp_path)
    assert examples
    assert not asked & {example["query"] for example in examples}
    held_out = report.data.held_out
    assert held_out is not None
    assert (held_out.source, held_out.name, held_out.questions, held_out.stated) == ("given", "judged", 48, 48)
    assert (held_out.unseen_passages, held_out.passages) == (48, 144)
    assert report.data.metrics.rejected["its query is reserved for evaluation"] == 48
    assert report.promoted
    assert report.decision is not None
    assert report.decision.target.data_name == "judged"


def test_made_up_questions_decide_where_there_are_no_others_and_a_note_says_so(tmp_path: Path) -> None:
    documents = [
        {
            "id": f"d{number}",
            "text": f"The {thing} of {name} stands in room {number}. It was bought in {1900 + number} by {name}'s "
            f"sister, who paints. Clean the {thing} with a dry cloth every {number + 2} weeks.",
        }
        for number, (name, thing) in enumerate(
            (name, thing)
            for name in ("Anna", "Boris", "Clara", "David", "Emma")
            for thing in ("lamp", "chair", "table")
        )
    ]
    settings = settings_of(
        tmp_path,
        learning__made_up_per_passage=3,
        learning__min_training_pairs=5,
        learning__min_held_out_questions=3,
        finetuning__num_epochs=1,
    )
    loop = loop_of(tmp_path, settings, finetuning=config_of(num_epochs=1))
    report = loop.run(LearningSources(documents=documents), "thing", general=general_pairs())
    assert report.outcome in {"kept", "promoted"}
    assert report.data.metrics.balance.by_strategy == {"synthetic": report.data.metrics.produced}
    assert report.data.metrics.produced <= 45
    assert report.data.held_out is not None
    assert report.data.held_out.stated == 0
    assert any("made up from passages" in note for note in report.notes)


def test_given_examples_are_learned_from(tmp_path: Path) -> None:
    examples = [TrainingExample(query=query, response=answer) for query, answer in world()]
    sources = LearningSources(documents=documents_of(world()), examples=examples)
    settings = settings_of(tmp_path, learning__min_training_pairs=1000)
    report = loop_of(tmp_path, settings).run(sources, "thing", general=general_pairs())
    assert report.data.metrics.balance.by_strategy == {"given_examples": 144}
    assert report.data.training_pairs > 80


# --- wrong arguments ------------------------------------------------------------------------------------------------


def test_wrong_arguments_are_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="sources: none is given"):
        LearningSources()
    wrong: dict[str, Any] = {"settings": 7, "encoder": "a name", "finetuning": {}, "registry": "here", "gate": True}
    for name, value in wrong.items():
        with pytest.raises(InvalidArgumentError, match=name):
            LearningLoop(**{name: value})
    loop = loop_of(tmp_path)
    with pytest.raises(InvalidArgumentError, match="sources must be LearningSources"):
        loop.run({"documents": []})  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="No name of a model"):
        loop.run(sources_of(), "../thing")
    with pytest.raises(InvalidArgumentError, match="feedback: there is no file"):
        loop.run(LearningSources(feedback=tmp_path / "ratings.jsonl"))
    with pytest.raises(InvalidArgumentError, match="general: found 1 question"):
        loop.run(sources_of(), general=judged(world(), [3]))
    with pytest.raises(BackendError, match="registry:nothing"):
        LearningLoop(settings_of(tmp_path, embedding__model_name="registry:nothing")).run(sources_of())
    assert not (tmp_path / "data" / "datasets").exists()


def test_a_stricter_gate_is_another_run(tmp_path: Path) -> None:
    few = sources_of(world()[:20])
    ids = {
        loop_of(tmp_path, gate=gate).run(few, "thing", general=general_pairs()).run_id
        for gate in (None, Gate(), Gate(alpha=0.01))
    }
    assert len(ids) == 2
