"""From what customers asked and rated to the model that finds it, step by step: each fixture is one step.

A very small real model learns which bird is which machine; see ``workshop``. The conversations rest in SQLite, the data
set in a folder, the models in the registry, and the memory of conversations uses what was promoted.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ragtime.backends.encoders import create_encoder
from ragtime.config.settings import Settings
from ragtime.records import Document, RetrievalSet
from ragtime.services.conversation import Conversation, ConversationManager
from ragtime.services.model_finetuner import (
    Decision,
    EvaluationResult,
    FineTuningConfig,
    FineTuningMetrics,
    ModelFineTuner,
)
from ragtime.services.model_finetuner.versions import compare_versions, register_model
from ragtime.services.training_data_gen import ExampleSplit, TrainingDataGenerator, TrainingExample
from ragtime.storage.registry import ModelRegistry, ModelVersion
from ragtime.testing import tiny_model
from tests.e2e import workshop

pytestmark = [pytest.mark.models, pytest.mark.slow]

USERS = ("ann", "bob")
SHARES = {"train": 0.6, "validation": 0.1, "test": 0.3}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices of a tiny model are so small that threads only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workshop")


@pytest.fixture(scope="module")
def settings(folder: Path) -> Settings:
    """A base model in a folder, and whatever is named registry:support in use."""
    tiny_model().save_pretrained(str(folder / "base"), create_model_card=False)
    return Settings.isolated(
        data_dir=folder / "data",
        logging__progress="off",
        embedding={"model_name": "registry:support", "device": "cpu"},
        finetuning__base_model_name=str(folder / "base"),
    )


# --- the steps ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def conversations(settings: Settings) -> list[Conversation]:
    """Customers ask; another process reads what they have said."""
    with ConversationManager(settings) as manager:
        workshop.hold_conversations(manager, users=USERS)
    with ConversationManager(settings) as manager:
        return [
            manager.get_conversation(head.id, user_id=user)
            for user in USERS
            for head in manager.list_conversations(user_id=user)
        ]


@pytest.fixture(scope="module")
def generator(settings: Settings, conversations: list[Conversation]) -> Iterator[TrainingDataGenerator]:
    with TrainingDataGenerator(
        settings, documents=workshop.documents(), feedback=workshop.ratings(), conversations=conversations
    ) as made:
        yield made


@pytest.fixture(scope="module")
def examples(generator: TrainingDataGenerator) -> list[TrainingExample]:
    """Generate: all that ratings and conversations give, and some questions made up from the handbook."""
    return [
        example
        for strategy, count in (("query_based", None), ("conversation_based", None), ("synthetic", 30))
        for example in generator.iter_training_data(count, strategy)
    ]


@pytest.fixture(scope="module")
def split(generator: TrainingDataGenerator, examples: list[TrainingExample]) -> ExampleSplit:
    return generator.split(examples, SHARES)


@pytest.fixture(scope="module")
def files(generator: TrainingDataGenerator, split: ExampleSplit, folder: Path) -> dict[str, Path]:
    """Export: a file for each part."""
    paths = {name: folder / f"{name}.jsonl" for name in split.parts}
    for name, path in paths.items():
        generator.export_training_data(split.parts[name], path, shape="examples")
    return paths


@pytest.fixture(scope="module")
def tuner(settings: Settings) -> ModelFineTuner:
    """Training watches one half of the reminders for what is forgotten; the other half is for the gate."""
    config = FineTuningConfig(num_epochs=16, batch_size=16, learning_rate=6e-3, max_seq_length=64, precision="float32")
    return ModelFineTuner(config, settings=settings, general_data=workshop.reminders()[::2])


@pytest.fixture(scope="module")
def metrics(tuner: ModelFineTuner, files: dict[str, Path]) -> FineTuningMetrics:
    """Tune a model."""
    return tuner.train(files["train"], files["validation"])


@pytest.fixture(scope="module")
def held_out(split: ExampleSplit) -> RetrievalSet:
    """What people asked in the part that no training has seen, to be searched for in the whole handbook."""
    pages = [Document(**page) for page in workshop.documents()]
    asked = {example.id: example for example in split.parts["test"] if not example.weak}
    return RetrievalSet.from_documents(
        pages,
        {key: example.query for key, example in asked.items()},
        {key: {example.lineage.document_ids[0]: 1} for key, example in asked.items()},
        name="held-out",
    )


@pytest.fixture(scope="module")
def evaluated(
    tuner: ModelFineTuner, metrics: FineTuningMetrics, held_out: RetrievalSet, folder: Path
) -> tuple[EvaluationResult, EvaluationResult]:
    """Evaluate: the base model and the tuned one."""
    return (
        tuner.evaluate(held_out, model=str(folder / "base")),
        tuner.evaluate(held_out, model=str(metrics.model_path)),
    )


@pytest.fixture(scope="module")
def decision(tuner: ModelFineTuner, metrics: FineTuningMetrics, held_out: RetrievalSet) -> Decision:
    assert tuner.model_path == metrics.model_path
    return tuner.decide(held_out, general=workshop.reminders()[1::2])


@pytest.fixture(scope="module")
def versions(
    settings: Settings,
    folder: Path,
    metrics: FineTuningMetrics,
    evaluated: tuple[EvaluationResult, EvaluationResult],
    decision: Decision,
) -> tuple[ModelVersion, ModelVersion]:
    """Register both; the base model is in production, until the gate lets the tuned one pass."""
    registry = ModelRegistry(settings)
    base = register_model(folder / "base", "support", registry=registry, evaluations=evaluated[:1])
    registry.promote("support", base.version, reason="the first one")
    tuned = register_model(metrics.model_path, "support", registry=registry, evaluations=evaluated[1:])
    assert decision.promote, decision.sentence
    return base, registry.promote("support", tuned.version, reason=decision.sentence)


# --- what holds after each ------------------------------------------------------------------------------------------


def test_every_source_has_given_examples_and_each_knows_whence_it_is(
    examples: list[TrainingExample], conversations: list[Conversation], generator: TrainingDataGenerator
) -> None:
    sources = {example.lineage.source for example in examples}
    assert sources == {"conversations", "documents", "feedback"}
    turns = {turn.id: turn for conversation in conversations for turn in conversation}
    users = set()
    for example in examples:
        if example.lineage.source == "conversations":
            users.add(example.lineage.user_id)
            assert turns[example.lineage.turn_ids[0]].content == example.query
        else:
            assert bool(example.lineage.feedback_ids) != example.weak  # rated by somebody, or made up
        assert example.lineage.document_ids
        assert example.label == 1
    assert users == set(USERS)
    assert any(example.negatives for example in examples)  # pages that were rated badly
    for stage in generator.metrics.stages:
        assert stage.candidates == stage.kept + sum(stage.rejected.values())


def test_what_was_made_is_valid_and_a_faulty_one_is_found(
    generator: TrainingDataGenerator, examples: list[TrainingExample]
) -> None:
    assert generator.validate(examples).kept == len(examples)
    report = generator.validate([*examples, examples[0], TrainingExample(query="?", response="Yes.")])
    assert not report.valid
    assert [verdict.number for verdict in report.verdicts if not verdict.kept] == [len(examples), len(examples) + 1]


def test_no_part_knows_anything_of_another(split: ExampleSplit) -> None:
    assert all(split.parts[name] for name in SHARES)
    for one, other in combinations(SHARES, 2):
        for known in (
            lambda example: {example.query},
            lambda example: {example.response},
            lambda example: set(example.lineage.document_ids),
            lambda example: {example.lineage.conversation_id} - {None},
        ):
            first, second = (set().union(*map(known, split.parts[name])) for name in (one, other))
            assert not first & second


def test_files_give_back_the_very_examples(
    generator: TrainingDataGenerator, split: ExampleSplit, files: dict[str, Path]
) -> None:
    assert {name: generator.load(path) for name, path in files.items()} == dict(split.parts)


def test_the_tuned_model_is_better_and_the_gate_says_so(
    evaluated: tuple[EvaluationResult, EvaluationResult],
    decision: Decision,
    metrics: FineTuningMetrics,
    split: ExampleSplit,
) -> None:
    base, tuned = evaluated
    assert metrics.data.training_rows == len(split.parts["train"])
    assert tuned.figures["ndcg@10"] > base.figures["ndcg@10"] + 0.1
    assert (decision.target.base, decision.target.tuned) == (base.figures["ndcg@10"], tuned.figures["ndcg@10"])
    assert decision.promote
    assert decision.sentence.startswith("Promote the tuned model. ndcg@10 on held-out went from")
    assert set(metrics.data.lineage["users"]) == set(USERS)


def test_a_model_that_was_taught_nonsense_is_kept_out(settings: Settings, held_out: RetrievalSet) -> None:
    with TrainingDataGenerator(
        settings, documents=workshop.documents(), feedback=workshop.shuffled_ratings()
    ) as generator:
        nonsense = [
            example
            for example in generator.iter_training_data(strategy="query_based")
            if example.query not in set(held_out.queries.values())
        ]
    config = FineTuningConfig(num_epochs=3, batch_size=16, learning_rate=6e-3, max_seq_length=64, precision="float32")
    tuner = ModelFineTuner(config, settings=settings)
    tuner.train(nonsense)
    decision = tuner.decide(held_out, general=workshop.reminders()[1::2])
    assert not decision.promote
    assert decision.sentence.startswith("Keep the base model.")


def test_the_registry_knows_both_and_what_taught_the_new_one(
    settings: Settings, versions: tuple[ModelVersion, ModelVersion], conversations: list[Conversation]
) -> None:
    base, tuned = versions
    registry = ModelRegistry(settings)
    assert tuned.stage == "production"
    assert tuned.parent == str(settings.finetuning.base_model_name)
    assert tuned.lineage is not None
    assert set(tuned.lineage.turn_ids) <= {turn.id for conversation in conversations for turn in conversation}
    assert tuned.lineage.turn_ids
    (compared,) = compare_versions(base.reference, tuned.reference, registry=registry)
    assert compared.data_name == "held-out"
    assert compared.difference > 0


def test_whatever_is_made_next_uses_it_and_a_rollback_undoes_it(
    settings: Settings, versions: tuple[ModelVersion, ModelVersion], metrics: FineTuningMetrics, folder: Path
) -> None:
    registry = ModelRegistry(settings)
    assert [registry.get("support", one.version).stage for one in versions] == ["retired", "production"]

    asked = workshop.question("heron", "clean")
    tuned, base = (
        ModelFineTuner.load(path, settings=settings).encode([asked], role="query")
        for path in (metrics.model_path, folder / "base")
    )
    np.testing.assert_array_equal(create_encoder(settings).encode([asked], role="query"), tuned)

    with ConversationManager(settings, user_id="ann") as manager:
        found = manager.search("My heron, how is it to be cleaned?", k=1)
        assert manager.embedder.encoder.fingerprint("query") == create_encoder(settings).fingerprint("query")
    assert found[0].conversation_id.startswith("heron")

    assert registry.rollback("support", reason="users complained").version == versions[0].version
    np.testing.assert_array_equal(create_encoder(settings).encode([asked], role="query"), base)
    with ConversationManager(settings, user_id="ann") as manager:
        assert manager.search("My heron, how is it to be cleaned?", k=1)  # by vectors of the base model, made anew
    assert [change.action for change in registry.history("support")] == [
        "register", "promote", "register", "promote", "rollback",
    ]  # fmt: skip
