"""A registry with a clock of its own, and folders that look like models but hold a few bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragtime.storage.registry import ModelRegistry

START = datetime(2026, 3, 1, tzinfo=UTC)


class _Clock:
    """A minute later at each look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> datetime:
        self.looks += 1
        return START + timedelta(minutes=self.looks)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(root=tmp_path / "registry", clock=_Clock())


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[[str], Path]:
    """Makes the folder of a model; another text makes another model."""

    def make(text: str) -> Path:
        folder = tmp_path / "models" / text
        (folder / "1_Pooling").mkdir(parents=True)
        (folder / "config.json").write_text('{"model_type": "bert"}')
        (folder / "1_Pooling" / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(text.encode() * 100)
        return folder

    return make
