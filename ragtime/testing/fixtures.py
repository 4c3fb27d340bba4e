"""Fixtures for pytest: ``pytest_plugins = ["ragtime.testing.fixtures"]``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtime.backends.encoders.sentence_transformer import SentenceTransformerEncoder
from ragtime.config.settings import Settings, override_settings
from ragtime.records import RetrievalSet
from ragtime.testing import datasets, encoders
from ragtime.testing.model_server import LocalModelServer

__all__ = ["hash_encoder", "isolated_settings", "mock_dataset", "model_server", "tiny_encoder"]


@pytest.fixture
def isolated_settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings without any source, in force, with a ``data_dir`` of their own."""
    with override_settings(Settings.isolated(data_dir=tmp_path / "data", logging__progress="off")) as settings:
        yield settings


@pytest.fixture
def hash_encoder() -> encoders.HashEncoder:
    """An encoder without a model."""
    return encoders.HashEncoder()


@pytest.fixture
def model_server() -> Iterator[LocalModelServer]:
    """A running OpenAI-compatible server on this machine, whose answers and faults the test chooses."""
    with LocalModelServer() as server:
        yield server


@pytest.fixture(scope="session")
def tiny_encoder() -> SentenceTransformerEncoder:
    """An encoder with a very small real model, built once; not to be trained."""
    return encoders.tiny_encoder()


@pytest.fixture(scope="session")
def mock_dataset() -> RetrievalSet:
    """A small judged retrieval set."""
    return datasets.mock_dataset()
