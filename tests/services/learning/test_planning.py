"""Plans of the loop: what would be done, counted by doing it apart, and what it would take."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ragtime.config.settings import Settings
from ragtime.data.sample import sample_documents, sample_feedback, sample_retrieval_set
from ragtime.errors import BackendError, GenerationError, InvalidArgumentError
from ragtime.records import Document, RetrievalSet
from ragtime.services.learning.calibration import Calibration, calibrate
from ragtime.services.learning.counting import check_sources, count_records
from ragtime.services.learning.estimate import Workload, estimate_run, sample_pairs
from ragtime.services.learning.planning import LearningPlan, plan_learning
from ragtime.services.learning.sources import LearningSources
from ragtime.services.model_finetuner import FineTuningConfig
from ragtime.services.training_data_gen import SourceOptions
from ragtime.storage.registry import ModelRegistry
from ragtime.testing import HashEncoder, ScriptedGenerator, tiny_model

MEASURED = Calibration(
    device="cpu",
    loading=1.0,
    query=0.001,
    passage=0.01,
    step_pairs=10,
    step=2.0,
    frozen_once=False,
    graph=1e6,
    free=10**9,
    weights=10**7,
    dimension=100,
    host=10**9,
    on_device=None,
    load=0.5,
)
WORK = Workload(training_pairs=900, passages=500, questions=100, general_texts=0, models=2, data_seconds=7.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with small minimums, and a data folder that is not there yet."""
    return Settings.isolated(
        data_dir=tmp_path / "data",
        logging__progress="off",
        learning__made_up_per_passage=0,
        learning__min_training_pairs=50,
        learning__min_held_out_questions=10,
        finetuning__max_seq_length=48,
    )


def _judged(count: int = 200) -> RetrievalSet:
    whole = sample_retrieval_set(reserved=False)
    chosen = list(whole.judged_queries)[:count]
    return RetrievalSet(
        queries={key: whole.queries[key] for key in chosen},
        corpus=whole.corpus,
        judgements={key: whole.judgements[key] for key in chosen},
    )


def _plan(settings: Settings, sources: LearningSources, **options: Any) -> LearningPlan:
    return plan_learning(settings, sources, "support", model_loader=lambda _: tiny_model(), **options)


# --- what would be done ---------------------------------------------------------------------------------------------


@pytest.mark.models
def test_a_plan_tells_what_there_is_and_writes_nothing(settings: Settings, tmp_path: Path) -> None:
    state = random.getstate()
    plan = _plan(settings, LearningSources(queries=_judged()))
    assert plan.outcome == "possible"
    assert [(one.kind, one.usable) for one in plan.sources] == [("documents", 298), ("queries", 200)]
    assert dict(plan.strategies) == {"query_based": None}
    assert plan.training_pairs + plan.validation_pairs < plan.metrics.produced
    assert plan.training_pairs >= 50
    assert plan.held_out_questions >= 10
    assert plan.passages == 298
    assert plan.steps == -(-plan.training_pairs // 64)
    assert (plan.base_model, plan.in_use) == (settings.embedding.model_name, None)
    assert plan.estimate is not None
    assert plan.estimate.memory_bytes > 0
    assert plan.places["the run"] == tmp_path / "data" / "learning" / "support"
    assert random.getstate() == state
    assert not (tmp_path / "data").exists()
    assert LearningPlan.model_validate_json(plan.model_dump_json()) == plan


def test_too_little_data_is_told_and_nothing_is_loaded(settings: Settings) -> None:
    plan = plan_learning(settings, LearningSources(queries=_judged(20)))
    assert plan.outcome == "too_little_data"
    assert plan.missing_pairs == 50 - plan.training_pairs > 0
    assert plan.missing_questions == 10 - plan.held_out_questions
    assert (
        f": {plan.missing_pairs} of at least 50 training pairs are missing (there are {plan.training_pairs})"
        in plan.sentence
    )
    assert plan.estimate is None


@pytest.mark.parametrize(
    ("documents", "told"),
    [([], "There is no record of documents"), ([" "], "1 × text is blank"), ([{"id": "d"}], "1 × text is missing")],
)
def test_sources_that_hold_nothing_are_refused_in_words(settings: Settings, documents: list[Any], told: str) -> None:
    with pytest.raises(GenerationError, match=f"gave no example.*{told}.*There is no record of feedback"):
        plan_learning(settings, LearningSources(documents=documents, feedback=[]))


def test_ratings_without_documents_are_too_little_data(settings: Settings) -> None:
    """An answer is no passage: there is nothing that a question should retrieve."""
    plan = plan_learning(settings, LearningSources(feedback=sample_feedback()))
    assert (plan.outcome, plan.training_pairs) == ("too_little_data", 0)
    assert plan.sources[0].usable > 300


@pytest.mark.models
def test_questions_of_the_gate_are_not_trained_on(settings: Settings) -> None:
    judged = _judged()
    alone = _plan(settings, LearningSources(queries=judged))
    given = RetrievalSet(
        queries=dict(list(judged.queries.items())[:60]),
        corpus=judged.corpus,
        judgements=dict(list(judged.judgements.items())[:60]),
    )
    plan = _plan(settings, LearningSources(queries=judged), evaluation=given)
    assert plan.held_out_questions == 60
    made = plan.training_pairs + plan.validation_pairs
    assert made < alone.metrics.produced
    assert plan.metrics.produced == made


@pytest.mark.models
def test_models_are_named_with_their_versions(settings: Settings, tmp_path: Path) -> None:
    tiny_model().save_pretrained(str(tmp_path / "tiny"), create_model_card=False)
    registry = ModelRegistry(settings)
    version = registry.register(tmp_path / "tiny", "support")
    config = FineTuningConfig(base_model_name="registry:support")
    sources = LearningSources(queries=_judged())
    with pytest.raises(BackendError, match="The model 'registry:support' cannot be used"):
        plan_learning(settings, sources, "support", config=config)
    registry.promote("support", version.version, reason="a start")
    plan = plan_learning(settings, sources, "support", config=config)
    assert plan.base_model == plan.in_use == f"registry:support@{version.short}"
    other = plan_learning(settings, sources, "other", config=config)
    assert (other.base_model, other.in_use) == (plan.base_model, None)


@pytest.mark.models
def test_what_models_would_be_asked_is_noted_and_not_asked(settings: Settings) -> None:
    dense = settings.replace(training_data__retriever="dense")
    encoder, generator = HashEncoder(), ScriptedGenerator([])
    plan = _plan(dense, LearningSources(queries=_judged()), encoder=encoder, generator=generator)
    assert "searched by words" in plan.notes[0]
    assert "made up by rules" in plan.notes[1]
    assert plan.estimate is not None
    assert "Making the training data comes on top of it" in plan.estimate.basis
    assert encoder.calls == []


@pytest.mark.parametrize("name", ["", "a/b", "../up"])
def test_a_name_that_no_model_may_have_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="No name of a model"):
        plan_learning(settings, LearningSources(feedback=[]), name)


# --- records --------------------------------------------------------------------------------------------------------


def test_records_that_cannot_be_used_are_counted_with_their_places(settings: Settings, tmp_path: Path) -> None:
    rows = [{"query": "Are returns free?", "rating": 5}, {"query": " ", "rating": 5}, *[{"query": "q?"}] * 7]
    (tmp_path / "ratings.jsonl").write_text("?\n" + "".join(json.dumps(row) + "\n" for row in rows))
    documents = [Document(id="a", text="One."), Document(id="a", text="One."), Document(id="a", text="Another.")]
    sources = LearningSources(feedback=tmp_path / "ratings.jsonl", documents=documents)
    found, ratings = count_records(sources.opened(settings))
    assert (found.records, found.usable) == (3, 2)
    assert [(one.reason, one.count, one.where) for one in found.rejected] == [("another document has its id", 1, ())]
    assert (ratings.records, ratings.usable) == (10, 1)
    assert [(one.reason, one.count) for one in ratings.rejected] == [
        ("rating is missing", 7),
        ("line is no JSON object", 1),
        ("query is blank", 1),
    ]
    assert ratings.rejected[0].where == tuple(f"ratings.jsonl, line {number}" for number in range(4, 9))


@given(st.lists(st.sampled_from([{"query": "q?", "rating": 3}, {"query": "q?"}, {"rating": 9}, "?", 4, None])))
@hypothesis_settings(max_examples=50)
def test_all_records_are_counted_once(records: list[Any]) -> None:
    (counted,) = count_records(LearningSources(feedback=records).opened(Settings.isolated(logging__progress="off")))
    assert counted.records == len(records)
    assert counted.records == counted.usable + sum(one.count for one in counted.rejected)


def test_wrong_names_of_fields_are_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "ratings.jsonl").write_text('{"query": "Are returns free?", "score": 3}\n')
    (tmp_path / "chats.jsonl").write_text('{"log": [{"role": "user", "content": "Are returns free?"}]}\n')
    options = SourceOptions(rating_field="score", turns_field="log")
    right = LearningSources(
        feedback=tmp_path / "ratings.jsonl", conversations=str(tmp_path / "chats.jsonl"), options=options
    )
    check_sources(settings, right)
    for wrong, named in (
        (LearningSources(feedback=right.feedback), "'score'"),
        (LearningSources(conversations=right.conversations), "'log'"),
    ):
        with pytest.raises(InvalidArgumentError, match=named):
            check_sources(settings, wrong)
        with pytest.raises(InvalidArgumentError, match=named):
            plan_learning(settings, wrong)


# --- time and memory ------------------------------------------------------------------------------------------------


def test_an_estimate_is_what_was_measured_times_what_there_is_to_do() -> None:
    estimate = estimate_run(FineTuningConfig(num_epochs=2, batch_size=100), WORK, MEASURED)
    assert dict(estimate.stages) == {
        "data": 7.0,
        "evaluation": pytest.approx(2 * (500 * 0.01 + 100 * 0.001)),
        "training": pytest.approx(2 * 900 * 0.2 / 0.9),
        "loading": pytest.approx(3.0),
    }
    assert estimate.seconds == pytest.approx(sum(estimate.stages.values()))
    assert estimate.seconds_low < estimate.seconds < estimate.seconds_high
    graphs = 90 * 10**6  # of the pairs that the measured step did not have
    assert estimate.memory_bytes == 10**9 + 10**7 + 2 * 500 * 100 * 4 + graphs
    assert estimate.device_bytes is None
    assert "10 pairs took 2.00 s" in estimate.basis


@pytest.mark.parametrize(("cache", "graphs"), [("on", 0), ("off", 990 * 10**6), ("auto", 490 * 10**6)])
def test_graphs_take_what_the_settings_allow(cache: str, graphs: int) -> None:
    none = estimate_run(FineTuningConfig(batch_size=10), WORK, MEASURED).memory_bytes
    config = FineTuningConfig.model_validate({"batch_size": 1000, "gradient_cache": cache})
    assert estimate_run(config, WORK, MEASURED).memory_bytes - none == graphs


def _measured(**changes: Any) -> Calibration:
    return Calibration(**{name: getattr(MEASURED, name) for name in MEASURED.__slots__} | changes)


def test_a_frozen_encoder_is_run_once() -> None:
    config = FineTuningConfig(num_epochs=3)
    before = estimate_run(config, WORK, MEASURED).stages["training"]
    after = estimate_run(config, WORK, _measured(frozen_once=True)).stages["training"]
    assert after - before == pytest.approx(900 * 0.011 / 0.9)


def test_memory_of_a_gpu_is_told_apart() -> None:
    estimate = estimate_run(FineTuningConfig(batch_size=100), WORK, _measured(device="cuda", on_device=10**8))
    assert estimate.memory_bytes == 10**9 + 10**7 + 2 * 500 * 100 * 4
    assert estimate.device_bytes == 10**8 + 10**7 + 90 * 10**6
    assert "on this GPU" in estimate.basis


@given(st.integers(0, 1000))
@hypothesis_settings(max_examples=30)
def test_a_sample_of_pairs_is_spread_over_all_of_them(count: int) -> None:
    pairs = [(str(number), "") for number in range(count)]
    sample = sample_pairs(pairs)
    assert len(sample) == len(set(sample)) == min(count, 64)
    assert sample == sorted(sample, key=pairs.index)


@pytest.mark.models
@pytest.mark.parametrize(
    ("options", "frozen_once"),
    [
        ({"strategy": "full"}, False),
        ({"strategy": "full", "frozen_layers": 1}, False),
        ({"strategy": "full", "gradient_cache": "on", "optimizer": "sgd"}, False),
        ({"strategy": "lora"}, False),
        ({"strategy": "quantized"}, False),
        ({"strategy": "adapter"}, True),
    ],
    ids=lambda options: "-".join(map(str, options.values())) if isinstance(options, dict) else "",
)
def test_a_step_of_every_strategy_is_measured(settings: Settings, options: dict[str, Any], frozen_once: bool) -> None:
    """And the model of the caller is the only thing that changes."""
    torch = pytest.importorskip("torch")
    state = torch.get_rng_state()
    config = FineTuningConfig(batch_size=8, **options).resolved(settings)
    pairs = [(f"where is page {number}?", sample_documents()[number].content) for number in range(12)]
    found = calibrate(config, settings, pairs, model_loader=lambda _: tiny_model())
    assert found.frozen_once is frozen_once
    assert found.step_pairs <= 8
    assert min(found.step, found.passage, found.query, found.host, found.weights) > 0
    assert (found.graph > 0) is not frozen_once
    assert (found.device, found.dimension, found.on_device) == ("cpu", 32, None)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_busy_machine_is_told() -> None:
    assert "kept the CPUs busy" not in estimate_run(FineTuningConfig(), WORK, MEASURED).basis
    assert "(load 3.0 for each)" in estimate_run(FineTuningConfig(), WORK, _measured(load=3.0)).basis
