"""Every test runs in a folder of its own, without any setting of the machine, and leaves logging as it was."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from ragtime.config.settings import reload_settings

ROOT = Path(__file__).resolve().parent.parent
HAS_MODELS = importlib.util.find_spec("sentence_transformers") is not None

hypothesis_settings.register_profile("default", deadline=None, derandomize=True)
hypothesis_settings.load_profile("default")


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.upper().startswith("RAGTIME_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    reload_settings()
    yield
    with monkeypatch.context() as clean:
        for name in [name for name in os.environ if name.upper().startswith("RAGTIME_")]:
            clean.delenv(name)
        empty = tmp_path / "empty"
        empty.mkdir(exist_ok=True)
        clean.chdir(empty)
        reload_settings()


@pytest.fixture(autouse=True)
def _same_logging() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("ragtime")
    before = (root.handlers[:], root.level, own.handlers[:], own.level)
    yield
    root.handlers[:], own.handlers[:] = before[0], before[2]
    root.setLevel(before[1])
    own.setLevel(before[3])


@pytest.fixture
def root() -> Path:
    """The folder of the project."""
    return ROOT


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs local models where the heavy extras are not installed, as under the lowest versions."""
    if HAS_MODELS:
        return
    left_out = [item for item in items if item.get_closest_marker("models")]
    items[:] = [item for item in items if not item.get_closest_marker("models")]
    config.hook.pytest_deselected(items=left_out)
