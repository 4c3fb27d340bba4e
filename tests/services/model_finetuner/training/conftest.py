"""What tests of whole runs start from: a tiny real model, and settings of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragtime.config.settings import Settings
from ragtime.services.model_finetuner import FineTuningConfig, FineTuningMetrics, ModelFineTuner
from ragtime.testing import tiny_model
from tests.services.model_finetuner.killed_runs import rows_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")


@pytest.fixture
def tuner(settings: Settings, tmp_path: Path) -> Callable[..., ModelFineTuner]:
    def make(**fields: Any) -> ModelFineTuner:
        usual: dict[str, Any] = {
            "num_epochs": 2,
            "batch_size": 16,
            "learning_rate": 3e-3,
            "precision": "float32",
            "max_seq_length": 32,
            "interpolation": "off",
            "output_dir": tmp_path / "models",
        }
        config = FineTuningConfig(**{**usual, **fields})
        return ModelFineTuner(config, settings=settings, model_loader=lambda _: tiny_model())

    return make


@pytest.fixture
def train(tuner: Callable[..., ModelFineTuner]) -> Callable[..., FineTuningMetrics]:
    def run(
        data: Any = None, eval_data: Any = None, *, resume: Any = True, allow_changed: Any = (), **fields: Any
    ) -> FineTuningMetrics:
        given = rows_of() if data is None else data
        return tuner(**fields).train(given, eval_data, resume, allow_changed=allow_changed)

    return run
