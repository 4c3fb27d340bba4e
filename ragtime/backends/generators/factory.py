"""The generator that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragtime.backends.generators.openai_generator import OpenAIGenerator
from ragtime.backends.generators.request import resolve_settings
from ragtime.backends.generators.transformers_generator import TransformersGenerator

if TYPE_CHECKING:
    from ragtime.backends.generators.base import BaseGenerator
    from ragtime.config.settings import Settings

__all__ = ["create_generator"]


def create_generator(settings: Settings | None = None) -> BaseGenerator:
    """Make the generator of ``llm.provider``.

    Args:
        settings: The settings; ``None`` means the current ones.

    Returns:
        A :class:`ragtime.protocols.TextGenerator` that is an :class:`ragtime.protocols.AsyncTextGenerator`, too.

    Raises:
        ConfigurationError: ``llm.model_name``, or for a server its address, is not set.
        MissingExtraError: The optional dependency of the provider is not installed.
    """
    settings = resolve_settings(settings)
    if settings.llm.provider == "transformers":
        return TransformersGenerator(settings)
    return OpenAIGenerator(settings)
