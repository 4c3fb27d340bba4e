"""Splits of real mixes: nothing of one part is known to another; and what is personal stays in no file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from ragtime.config.settings import Settings
from ragtime.services.conversation import ConversationManager
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample, load_examples, split_examples
from ragtime.services.training_data_gen.dedup import group_near_duplicates
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.storage.conport import JsonDecisionLog
from ragtime.storage.conversations import MemoryConversationStore
from tests.services.training_data_gen.real_sources import STRATEGIES, generator_of, real_sources
from tests.services.training_data_gen.toy_strategy import WORDS

Shared = Callable[[TrainingExample], set[str]]

WHAT_LEAKS: dict[str, Shared] = {
    "query": lambda example: {normalize_text(example.query)},
    "passage": lambda example: {normalize_text(example.response)},
    "document": lambda example: set(example.lineage.document_ids),
    "whole document": lambda example: {one.partition("#")[0] for one in example.lineage.document_ids},
    "conversation": lambda example: {one for one in [example.lineage.conversation_id] if one},
}


def check_parts(parts: Mapping[str, Sequence[TrainingExample]]) -> None:
    """Raise when two parts share anything."""
    for what, shared in WHAT_LEAKS.items():
        found: dict[str, str] = {}
        for name, examples in parts.items():
            for one in {one for example in examples for one in shared(example)}:
                assert found.setdefault(one, name) == name, f"a {what} is in {found[one]} and {name}"
    for field in ("query", "response"):
        told = [(getattr(example, field), name) for name, examples in parts.items() for example in examples]
        groups: dict[int, set[str]] = {}
        for group, (_, name) in zip(group_near_duplicates([text for text, _ in told]).tolist(), told, strict=True):
            groups.setdefault(group, set()).add(name)
        assert all(len(names) == 1 for names in groups.values()), f"near-duplicates by {field} are in two parts"


def test_a_mix_of_all_strategies_is_split_without_a_leak(tmp_path: Path) -> None:
    report = generator_of(tmp_path, real_sources(40)).generate_dataset(100, STRATEGIES, shape="examples")
    parts = {name: load_examples(report.folder / f"{name}.jsonl") for name in report.parts}
    assert sum(map(len, parts.values())) == 100
    check_parts(parts)
    trained = {normalize_text(example.query) for example in parts["train"]}
    evaluated = (report.folder / "evaluation" / "queries-test.jsonl").read_text(encoding="utf-8").splitlines()
    assert not trained & {normalize_text(json.loads(line)["text"]) for line in evaluated}


def test_sections_of_one_document_stay_together(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(12):
        one, two, three = (WORDS[(number * step + step) % 20] for step in (1, 3, 7))
        text = (
            f"# Manual {number}\n\n## Cleaning the {one}\n\nWipe the {one} of model {number} with {two} oil each day.\n"
        )
        text += f"\n## Storing the {three}\n\nThe {three} of model {number} rests in a box of {one} and {two} wood.\n"
        (folder / f"m{number}.md").write_text(text)
    settings = Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")
    made = list(TrainingDataGenerator(settings, documents=folder).iter_training_data(strategy="synthetic"))
    assert len({one for example in made for one in example.lineage.document_ids}) == 24
    assert all(example.metadata["parents"] for example in made)
    check_parts(split_examples(made).parts)


def test_forks_stay_with_the_conversation_that_they_come_from(tmp_path: Path) -> None:
    manager = ConversationManager(store=MemoryConversationStore())
    for number in range(12):
        one, two, three = (WORDS[(number * step + step) % 20] for step in (1, 3, 7))
        conversation = manager.create_conversation(f"c{number}")
        conversation.add_exchange(f"How heavy is the {one} box of lot {number}?", f"It weighs {number + 3} pounds.")
        fork = conversation.fork(conversation_id=f"fork-{number}")
        conversation.add_exchange(
            f"When does shop {number} of the {three} mall open?", f"At {number} o'clock in {two}."
        )
        fork.add_exchange(f"Who painted the {two} door of hall {number}?", f"A painter from {three} street did.")
    settings = Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")
    made = list(
        TrainingDataGenerator(settings, conversations=manager).iter_training_data(
            strategy="conversation_based", validation=False
        )
    )
    place = {
        example.lineage.conversation_id: name
        for name, examples in split_examples(made, {"train": 0.5, "test": 0.5}).parts.items()
        for example in examples
    }
    assert len(place) == 24
    for number in range(12):
        assert place[f"c{number}"] == place[f"fork-{number}"]


def test_near_copies_of_a_passage_stay_together() -> None:
    examples = []
    for number in range(30):
        text = " ".join(WORDS[(number * step + step) % 20] + str(number) for step in range(1, 30))
        examples += [
            TrainingExample(query=f"First way to ask for {WORDS[number % 20]} {number}", response=text),
            TrainingExample(
                query=f"{number} of them in other words: {WORDS[-number % 20]}?", response=f"{text} indeed"
            ),
        ]
    check_parts(split_examples(examples).parts)


SECRETS = ("ann.smith@example.org", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00")


def test_personal_data_are_in_no_file_of_a_data_set_and_in_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = real_sources(20)
    for number, document in enumerate(sources["documents"]):
        document["text"] += f" Questions go to {SECRETS[number % 3]}."
        document["title"] += f", by {SECRETS[(number + 1) % 3]}"
    for query in sources["queries"]:
        query["text"] += f" My address is {SECRETS[0]}."
    for conversation in sources["conversations"]:
        conversation["history"][1]["query"] += f" I am {SECRETS[0]} with {SECRETS[2]}."
    log = JsonDecisionLog(tmp_path / "log")
    report = generator_of(tmp_path, sources, decision_log=log).generate_dataset(50, STRATEGIES, shape="examples")
    assert any("redacted" in example.metadata for example in load_examples(report.folder / "train.jsonl"))
    for path in sorted(tmp_path.rglob("*")):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [secret for secret in SECRETS if secret in text], path
    assert not [secret for secret in SECRETS if secret in caplog.text]


def test_texts_in_metadata_are_redacted_and_ids_are_not(tmp_path: Path) -> None:
    passage = "Write to ann.smith@example.org when the kettle of lot 3 breaks within a year."
    given = {
        "headings": ["For ann.smith@example.org"],
        "note": {"by": "ann.smith@example.org"},
        "parent": "a@example.org",
    }
    examples = [TrainingExample(query="Whom do I tell of a broken kettle?", response=passage, metadata=given)]
    settings = Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")
    documents = [{"id": "d", "text": passage}]
    generator = TrainingDataGenerator(settings, documents=documents, examples=examples)
    made = list(generator.iter_training_data(strategy="augmentation"))
    assert made
    for example in made:
        assert "ann.smith" not in example.model_dump_json()
    from ragtime.services.training_data_gen.checks import all_checks
    from ragtime.services.training_data_gen.run import prepared_run
    from ragtime.services.training_data_gen.sources.opening import open_sources

    sources = open_sources(settings, documents=documents)
    with prepared_run(settings, sources, [], encoder=None, generator=None) as run:
        (verdict,) = all_checks(run.tools, run.staging)[0].check(examples)
    assert verdict.example is not None
    assert verdict.example.metadata["headings"] == ["For [email]"]
    assert verdict.example.metadata["note"] == {"by": "[email]"}
    assert verdict.example.metadata["parent"] == "a@example.org"


def test_a_duplicate_is_named_by_the_id_that_the_caller_knows(tmp_path: Path) -> None:
    passage = "Write to ann.smith@example.org when the kettle of lot 3 breaks within a year."
    first = TrainingExample(query="Whom do I tell of a broken kettle?", response=passage)
    second = TrainingExample(query="Whom do I tell of a broken kettle??", response=passage)
    settings = Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")
    report = TrainingDataGenerator(settings, documents=[{"id": "d", "text": passage}]).validate([first, second])
    (fallen,) = [verdict for verdict in report.verdicts if not verdict.kept]
    assert fallen.duplicate_of in {first.id, second.id}
