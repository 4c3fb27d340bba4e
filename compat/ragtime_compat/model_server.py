"""The model server of the old modules, and what asks it.

Encoder and generator are made when there is something to ask: constructing a wrapper needs neither a server nor the
extra ``llm``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ragtime.backends.encoders import create_encoder
from ragtime.backends.generators import create_generator
from ragtime.config.settings import Settings
from ragtime.errors import MissingExtraError
from ragtime.protocols import Message, TextEncoder, TextGenerator, TextRole, TokenUsage
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["ServerEncoder", "ServerGenerator", "chosen", "embedding_server", "failure_fields"]

_OPENAI_API = "/v1"  # where Ollama serves what ragtime's own backends speak


def chosen(argument: str | None, variable: str, default: str) -> str:
    """Return an argument, else what an environment variable says now, else the default; empty texts do not count."""
    return argument or os.environ.get(variable) or default


def embedding_server(model: str | None = None, base_url: str | None = None) -> tuple[str, str]:
    """Return the name of the model that embeds, and the address of its server; see ``chosen``."""
    return chosen(model, "EMBEDDING_MODEL", "mistral"), chosen(base_url, "OLLAMA_BASE_URL", "http://localhost:11434")


def failure_fields(error: BaseException) -> dict[str, str]:
    """Return what a log event tells of a failure: the type, since texts may quote a question, and what to install."""
    fields = {"error": type(error).__name__}
    return fields | {"remedy": error.command} if isinstance(error, MissingExtraError) else fields


class ServerEncoder:
    """Embeds texts on the model server; a ``ragtime.protocols.TextEncoder``.

    Vectors are those the old modules got, brought to unit length, so that cosines with stored ones are what they were.
    There is no embedding cache, which would be a file.
    """

    def __init__(self, model: str, base_url: str, settings: Settings) -> None:
        """Take the address; `settings` give the time limit, the retries and the batch size."""
        self._model, self._base_url, self._settings = model, base_url, settings

    @cached_property
    def _encoder(self) -> TextEncoder:
        settings = self._settings.replace(
            embedding__provider="openai",
            embedding__model_name=self._model,
            embedding__base_url=_address(self._base_url),
            embedding__api_key=None,  # belongs to the server of the settings
        )
        return create_encoder(settings, cached=False)

    @property
    def dimension(self) -> int:
        """Length of the vectors; asks the server once."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        """Embed texts; see ``ragtime.backends.encoders.OpenAIEncoder``."""
        return self._encoder.encode(texts, role=role)

    def fingerprint(self, role: TextRole) -> str:
        """Return a hash of all that the vectors of a role depend on; asks the server once."""
        return self._encoder.fingerprint(role)


class ServerGenerator:
    """Writes text on the model server; a ``ragtime.protocols.TextGenerator``."""

    def __init__(self, model: str, base_url: str, settings: Settings) -> None:
        """Take the address; `settings` give the temperature, the time limit and the retries."""
        self._model, self._base_url, self._settings = model, base_url, settings

    @cached_property
    def _generator(self) -> TextGenerator:
        settings = self._settings.replace(
            llm__provider="openai",
            llm__model_name=self._model,
            llm__base_url=_address(self._base_url),
            llm__api_key=None,  # belongs to the server of the settings
        )
        return create_generator(settings)

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> str:
        """Answer messages; see ``ragtime.protocols.TextGenerator``."""
        return self._generator.generate(
            messages, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop, on_usage=on_usage
        )

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> Iterator[str]:
        """Answer messages piece by piece; see ``ragtime.protocols.TextGenerator``."""
        return self._generator.stream(
            messages, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop, on_usage=on_usage
        )


def _address(base_url: str) -> str:
    return f"{base_url.rstrip('/').removesuffix(_OPENAI_API)}{_OPENAI_API}"
