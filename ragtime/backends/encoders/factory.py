"""The encoder that the settings ask for."""

from __future__ import annotations

from ragtime.backends.encoders.cached import CachedEncoder
from ragtime.backends.encoders.openai import OpenAIEncoder
from ragtime.backends.encoders.sentence_transformer import SentenceTransformerEncoder
from ragtime.backends.resolution import RegistryResolver
from ragtime.config.settings import Settings, get_settings
from ragtime.protocols import TextEncoder
from ragtime.storage.embedding_cache import EmbeddingCache

__all__ = ["create_encoder", "open_embedding_cache"]


def create_encoder(
    settings: Settings | None = None, *, registry: RegistryResolver | None = None, cached: bool = True
) -> TextEncoder:
    """Make the encoder of section ``embedding``, with the embedding cache in front of it.

    Args:
        settings: The settings; ``None`` means the current ones.
        registry: Finds models of the registry; ``None`` means the registry in the ``data_dir`` of the settings.
        cached: Whether to use the cache; it is off, too, when ``embedding.cache_max_bytes`` is 0.

    Returns:
        The encoder; its model is loaded at the first use.

    Raises:
        ConfigurationError: The provider is a server, and none is named.
        MissingExtraError: The provider's package is not installed; a local model's is missed at the first use.
    """
    chosen = settings or get_settings()
    encoder: TextEncoder
    if chosen.embedding.provider == "openai":
        encoder = OpenAIEncoder(chosen)
    else:
        encoder = SentenceTransformerEncoder(chosen, registry=registry)
    cache = open_embedding_cache(chosen) if cached else None
    return CachedEncoder(encoder, cache) if cache is not None else encoder


def open_embedding_cache(settings: Settings | None = None) -> EmbeddingCache | None:
    """Return the embedding cache in ``data_dir``, or ``None`` when ``embedding.cache_max_bytes`` is 0."""
    chosen = settings or get_settings()
    if chosen.embedding.cache_max_bytes == 0:
        return None
    return EmbeddingCache(chosen.data_path("cache", "embeddings.sqlite"), max_bytes=chosen.embedding.cache_max_bytes)
