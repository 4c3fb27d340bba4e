"""What `ragtime doctor` finds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ragtime.backends.diagnosis import Finding, diagnose
from ragtime.backends.encoders.factory import open_embedding_cache
from ragtime.config.settings import Settings
from ragtime.storage.registry import ModelRegistry
from ragtime.testing import tiny_model

pytestmark = pytest.mark.models


def _by_topic(settings: Settings) -> dict[str, Finding]:
    return {finding.topic: finding for finding in diagnose(settings)}


def test_a_machine_where_all_is_well(tmp_path: Path) -> None:
    found = _by_topic(Settings.isolated(data_dir=tmp_path / "data", embedding__device="cpu"))
    assert {finding.state for finding in found.values()} == {"ok"}
    assert "cpu, torch" in found["device"].told
    assert "all-MiniLM-L6-v2: bundle" in found["embedding model"].told
    assert "0 vectors" in found["embedding cache"].told
    assert not (tmp_path / "data").exists()


def test_what_is_missing_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = _by_topic(Settings.isolated())
    assert (found["device"].state, found["extra embeddings"].state) == ("missing", "missing")
    assert "ragtime-gal[embeddings]" in found["device"].told


def test_what_will_fail_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "embeddings.sqlite").mkdir()
    settings = Settings.isolated(data_dir=tmp_path, embedding__model_name="./nowhere", embedding__device="cuda:99")
    found = _by_topic(settings)
    assert {topic for topic, finding in found.items() if finding.state == "problem"} == {
        "device",
        "embedding model",
        "embedding cache",
    }


def test_a_model_of_the_registry_is_looked_at(tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path / "data", embedding__model_name="registry:support")
    assert "register a version first" in _by_topic(settings)["embedding model"].told
    tiny_model().save_pretrained(str(tmp_path / "model"), create_model_card=False)
    registry = ModelRegistry(settings)
    registry.promote("support", registry.register(tmp_path / "model", "support").version)
    found = _by_topic(settings)["embedding model"]
    assert (found.state, found.told) == ("ok", f"registry:support: registry, {registry.resolve('support')}")
    (registry.resolve("support") / "added.json").write_text("{}")
    found = _by_topic(settings)["embedding model"]
    assert found.state == "problem"
    assert "'added.json' missing, changed or added. Register the original again" in found.told


def test_a_damaged_cache_is_found(tmp_path: Path) -> None:
    settings = Settings.isolated(data_dir=tmp_path)
    cache = open_embedding_cache(settings)
    assert cache is not None
    cache.path.parent.mkdir(parents=True)
    cache.path.write_bytes(b"damaged" * 1000)
    assert _by_topic(settings)["embedding cache"].state == "ok"  # set aside, and begun anew
    assert (cache.path.parent / "embeddings.sqlite.damaged").exists()


def test_a_server_and_no_cache() -> None:
    settings = Settings.isolated(
        embedding={"provider": "openai", "model_name": "m", "base_url": "http://h/v1"}, embedding__cache_max_bytes=0
    )
    found = _by_topic(settings)
    assert found["embedding model"].told == "m at http://h/v1 (not asked)"
    assert found["embedding cache"].told == "off"
