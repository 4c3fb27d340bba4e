"""The memory of conversations with a model of the registry: promoted, rolled back, and never mixed with another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ragtime.backends.encoders import CachedEncoder
from ragtime.config.settings import Settings
from ragtime.errors import BackendError
from ragtime.services.conversation import ConversationEmbedder, ConversationManager, Interaction
from ragtime.storage.registry import ModelRegistry
from ragtime.testing import tiny_model

pytestmark = pytest.mark.models

TURN = Interaction(role="user", content="My roaster shows E04.")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.isolated(data_dir=tmp_path / "data", embedding={"model_name": "registry:support", "device": "cpu"})


@pytest.fixture
def register(settings: Settings, tmp_path: Path) -> Callable[[int], str]:
    """Registers a model of a seed, and puts it in production."""

    def make(seed: int) -> str:
        folder = tmp_path / f"model-{seed}"
        tiny_model(seed=seed).save_pretrained(str(folder), create_model_card=False)
        registry = ModelRegistry(settings)
        return registry.promote("support", registry.register(folder, "support").version).version

    return make


def test_the_embedder_finds_the_version_in_production(settings: Settings, register: Callable[[int], str]) -> None:
    register(1)
    embedder = ConversationEmbedder(settings)
    assert embedder.embed_interaction(TURN).shape == (32,)
    expected = tiny_model(seed=1).encode([TURN.content], show_progress_bar=False)[0]
    np.testing.assert_allclose(embedder.embed_interaction(TURN), expected, atol=1e-6)


def test_a_named_version_stays_what_it_is(settings: Settings, register: Callable[[int], str]) -> None:
    first = register(1)
    register(2)
    named = settings.model_copy(
        update={"embedding": settings.embedding.model_copy(update={"model_name": f"registry:support@{first[:8]}"})}
    )
    expected = tiny_model(seed=1).encode([TURN.content], show_progress_bar=False)[0]
    np.testing.assert_allclose(ConversationEmbedder(named).embed_interaction(TURN), expected, atol=1e-6)


def test_vectors_of_two_versions_never_mix(settings: Settings, register: Callable[[int], str]) -> None:
    """Under one name the cache keeps the vectors of each version apart, and finds those of the former again."""

    def embed() -> tuple[np.ndarray, str, int]:
        encoder = ConversationEmbedder(settings).encoder  # as a process that starts now would
        assert isinstance(encoder, CachedEncoder)
        vector = encoder.encode([TURN.content])[0]
        return vector, encoder.fingerprint("passage"), encoder.computed

    register(1)
    first, first_fingerprint, computed = embed()
    assert computed == 1
    register(2)
    second, second_fingerprint, computed = embed()
    assert computed == 1  # what the first gave is not taken
    assert first_fingerprint != second_fingerprint
    assert not np.allclose(first, second)
    ModelRegistry(settings).rollback("support")
    again, fingerprint, computed = embed()
    assert computed == 0  # its vectors are still there
    assert fingerprint == first_fingerprint
    np.testing.assert_array_equal(again, first)


def test_a_process_keeps_the_version_that_it_has_loaded(settings: Settings, register: Callable[[int], str]) -> None:
    register(1)
    embedder = ConversationEmbedder(settings)
    before = embedder.embed_interaction(TURN)
    register(2)
    other = Interaction(role="user", content="Another turn.")
    expected = tiny_model(seed=1).encode([other.content], show_progress_bar=False)[0]
    np.testing.assert_allclose(embedder.embed_interaction(other), expected, atol=1e-6)
    np.testing.assert_array_equal(embedder.embed_interaction(TURN), before)


def test_memory_recalls_before_and_after_a_promotion(settings: Settings, register: Callable[[int], str]) -> None:
    register(1)
    with ConversationManager(settings=settings, user_id="ann") as manager:
        conversation = manager.create_conversation("order-17")
        conversation.add_exchange("My roaster shows E04.", "Its exhaust is blocked.")
        conversation.add_exchange("When does my box come?", "On Monday.")
    for seed in (2, 1):
        register(seed)
        with ConversationManager(settings=settings, user_id="ann") as manager:
            (found,) = manager.search("My roaster shows E04.", k=1, mode="semantic")
            assert found.interaction.content == "My roaster shows E04."
            assert found.score == pytest.approx(1.0, abs=0.05)


def test_a_tampered_model_is_not_used(settings: Settings, register: Callable[[int], str]) -> None:
    register(1)
    weights = ModelRegistry(settings).resolve("support") / "model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[::-1])
    with pytest.raises(BackendError, match=r"'registry:support' cannot be used: .* is not what was registered"):
        ConversationEmbedder(settings).embed_query("What is E04?")
