"""What a generator is made of is checked when it is made, by what it can do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen import SourceOptions, TrainingDataGenerator
from ragtime.storage.conport import JsonDecisionLog
from ragtime.testing import HashEncoder, ScriptedGenerator

DOCUMENTS = ["Returns are free for 30 days after the purchase."]


class Raw:
    """Embeds, and says not by what."""

    def encode(self, texts: list[str]) -> list[list[float]]:
        return [[1.0] for _ in texts]


class Unasked(HashEncoder):
    """Fails when its dimension is asked for, as a server that is down."""

    dimension = property(lambda _: pytest.fail("asked for its dimension"), lambda *_: None)  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("argument", "given", "message"),
    [
        ("settings", {}, "settings: found dict; expected Settings"),
        ("settings", Settings, "settings: found the class Settings"),
        ("source_options", {"split": "dev"}, "source_options: found dict; expected SourceOptions"),
        ("encoder", "all-MiniLM-L6-v2", "encoder: found str, which is no TextEncoder.*create_encoder"),
        ("encoder", Raw(), "encoder: found Raw.*lacks dimension, fingerprint"),
        ("encoder", HashEncoder, "encoder: found the class HashEncoder"),
        ("generator", "gpt", "generator: found str, which is no TextGenerator: it lacks generate; .*create_generator"),
        ("generator", len, "generator: found builtin_function_or_method"),
        ("decision_log", [], "decision_log: found list, which is no DecisionLog.*open_decision_log"),
        ("decision_log", "decisions.json", "decision_log: found str"),
    ],
)
def test_a_wrong_collaborator_is_named_at_once(argument: str, given: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        TrainingDataGenerator(documents=DOCUMENTS, **{argument: given})


def test_whatever_has_the_methods_will_do_and_nothing_is_called(tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path)
    for options in (
        {"encoder": Unasked(), "generator": ScriptedGenerator([])},
        {"decision_log": JsonDecisionLog(tmp_path / "log"), "source_options": SourceOptions()},
        {"encoder": None, "generator": None, "decision_log": None, "source_options": None},
    ):
        TrainingDataGenerator(settings, documents=DOCUMENTS, **options)  # type: ignore[arg-type]


def test_what_stands_for_another_object_is_not_asked_for_its_names(tmp_path: Path) -> None:
    class Proxy:
        def __getattr__(self, name: str) -> Any:
            return getattr(encoder, name)

    encoder = HashEncoder()
    settings = Settings.isolated(data_dir=tmp_path, logging__progress="off")
    generator = TrainingDataGenerator(settings, documents=DOCUMENTS, encoder=Proxy())  # type: ignore[arg-type]
    assert generator.generate_training_data(1, "synthetic")
