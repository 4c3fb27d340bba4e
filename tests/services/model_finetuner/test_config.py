"""Properties of the configuration of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ragtime.config.settings import Settings, override_settings
from ragtime.services.model_finetuner import FineTuningConfig


def test_unset_fields_come_from_the_settings_in_force_when_a_run_begins(tmp_path: Path) -> None:
    config = FineTuningConfig(num_epochs=3)
    settings = Settings.isolated(data_dir=tmp_path, seed=7, finetuning={"batch_size": 16, "num_epochs": 9})
    with override_settings(settings):
        resolved = config.resolved()
    assert (resolved.num_epochs, resolved.batch_size, resolved.random_seed) == (3, 16, 7)
    assert resolved.base_model_name == settings.embedding.model_name
    assert resolved.output_dir == tmp_path / "models"


@pytest.mark.parametrize(
    ("fields", "rate"),
    [
        ({}, 5e-5),
        ({"strategy": "lora"}, 5e-4),
        ({"strategy": "adapter"}, 1e-3),
        ({"strategy": "adapter", "adapter_method": "ia3"}, 5e-3),
        ({"strategy": "quantized"}, 5e-5),
        ({"frozen_layers": 0}, 5e-5),
        ({"frozen_layers": 3}, 2e-4),
        ({"strategy": "quantized", "frozen_layers": 1}, 2e-4),
        ({"strategy": "lora", "learning_rate": 0.25}, 0.25),
    ],
)
def test_the_learning_rate_depends_on_the_strategy(fields: dict[str, object], rate: float) -> None:
    assert FineTuningConfig.from_settings(Settings.isolated(), **fields).learning_rate == rate


def test_the_learning_rate_of_the_settings_wins_over_that_of_the_strategy() -> None:
    settings = Settings.isolated(finetuning={"learning_rate": 0.5})
    assert FineTuningConfig.from_settings(settings, strategy="lora").learning_rate == 0.5
    assert FineTuningConfig.from_settings(settings, learning_rate=None).learning_rate == 0.5


def test_resolving_twice_changes_nothing() -> None:
    settings = Settings.isolated(finetuning={"max_grad_norm": None, "warmup_steps": 5})
    once = FineTuningConfig(lora_rank=4).resolved(settings)
    assert once.resolved(settings) == once
    assert (once.lora_alpha, once.warmup_steps, once.max_grad_norm) == (8, 5, None)


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"num_epochs": 0},
        {"batch_size": 0},
        {"strategy": "dora"},
        {"optimizer": "nope"},
        {"momentum": 1.0},
        {"temperature": 0.0},
        {"validation_split": 1.0},
        {"max_grad_norm": 0.0},
        {"matryoshka_dimensions": [64, 64]},
        {"adapter_query_only": True, "adapter_method": "lokr"},
        {"strategy": "lora", "frozen_layers": 2},
        {"unknown_field": 1},
    ],
)
def test_wrong_values_are_refused_before_anything_is_done(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FineTuningConfig(**bad)


def test_values_do_not_stand_in_errors() -> None:
    with pytest.raises(ValidationError) as caught:
        FineTuningConfig(query_prompt=["secret prompt"])
    assert "secret" not in str(caught.value)
