"""Token counters: the tokenizer of the model in use, or an estimate that says that it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ragtime.backends.resolution import RegistryResolver, resolve_model
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import BackendError, MissingExtraError
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import TokenCounter
from ragtime.utils.extras import require
from ragtime.utils.tokens import EstimatedTokenCounter

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TokenizerCounter", "create_token_counter"]

_log = get_logger(__name__)


class TokenizerCounter:
    """Counts with a tokenizer; a ``ragtime.protocols.TokenCounter``.

    Attributes:
        name: The model whose tokenizer it is.
    """

    exact = True

    def __init__(self, tokenizer: Any, *, name: str) -> None:
        """Count with a tokenizer of the ``tokenizers`` package.

        Args:
            tokenizer: A ``tokenizers.Tokenizer``; a copy without truncation and padding is used.
            name: The model whose tokenizer it is.
        """
        self.name = name
        self._tokenizer = type(tokenizer).from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @classmethod
    def from_folder(cls, folder: Path, *, name: str) -> TokenizerCounter:
        """Read the tokenizer of a model folder; the model itself is not loaded.

        Args:
            folder: The model's folder, with a ``tokenizer.json``.
            name: The model.

        Returns:
            The counter.

        Raises:
            BackendError: The folder has no ``tokenizer.json``, or it cannot be read.
            MissingExtraError: The package ``tokenizers`` is not installed.
        """
        package = require("tokenizers", "embeddings")
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise BackendError(f"{folder} has no tokenizer.json")
        try:
            tokenizer = package.Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001 - the package raises plain Exception
            raise BackendError(f"{path} cannot be read ({type(error).__name__})") from None
        return cls(tokenizer, name=name)

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`, without special tokens; 0 for the empty text."""
        well_formed = text.encode("utf-8", "replace").decode("utf-8")  # tokenizers refuse lone surrogates
        return len(self._tokenizer.encode(well_formed, add_special_tokens=False).ids)


def create_token_counter(settings: Settings | None = None, *, registry: RegistryResolver | None = None) -> TokenCounter:
    """Make the counter of the embedding model in use.

    Args:
        settings: Section ``embedding`` is used; ``None`` means the current settings.
        registry: Finds models of the registry; ``None`` means the registry in the ``data_dir`` of the settings.

    Returns:
        A counter with the model's own tokenizer; the estimate, whose ``exact`` is false, when the model is on a server
        or its tokenizer is not to be had. The reason is logged.
    """
    chosen = settings or get_settings()
    embedding = chosen.embedding
    if embedding.provider != "sentence-transformers":
        reason = "the model is on a server"
    else:
        try:
            folder = resolve_model(embedding.model_name, registry=registry, settings=chosen).path
            return TokenizerCounter.from_folder(folder, name=embedding.model_name)
        except (BackendError, MissingExtraError) as error:
            reason = str(error)
    _log.info("Tokens are estimated", extra={"model": embedding.model_name, "reason": reason})
    return EstimatedTokenCounter()
