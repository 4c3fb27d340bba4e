"""What strategies and checks work with."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ragtime.backends.encoders import create_encoder
from ragtime.config.settings import Settings
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import TextEncoder, TextGenerator
from ragtime.records.training import Lineage
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.services.training_data_gen.retrieval import DenseRetriever, LexicalRetriever, Retriever
from ragtime.utils.hashing import keyed_random
from ragtime.utils.settings_hash import settings_hash
from ragtime.utils.templates import PromptManager

__all__ = ["Tools", "generator_identity"]

_log = get_logger(__name__)
_PROMPTS = ("condense-question", "paraphrase", "query-generation")


class Tools:
    """Corpus, search, models, randomness and lineage of one run; safe to use from threads.

    Attributes:
        settings: The settings.
        corpus: All passages.
        encoder: Embeds; ``None`` where passages are searched by words.
        generator: Writes; ``None`` where no language model is used.
        retriever: Searches the passages.
    """

    def __init__(
        self,
        settings: Settings,
        corpus: Corpus,
        *,
        encoder: TextEncoder | None = None,
        generator: TextGenerator | None = None,
    ) -> None:
        """Get ready; nothing is loaded or indexed yet.

        Args:
            settings: The settings.
            corpus: All passages.
            encoder: Embeds; ``None`` means what ``training_data.retriever`` says.
            generator: Writes; ``None`` where no language model is used.
        """
        if encoder is None and settings.training_data.retriever == "dense":
            encoder = create_encoder(settings)
        self.settings = settings
        self.corpus = corpus
        self.encoder = encoder
        self.generator = generator
        self.retriever: Retriever = LexicalRetriever(corpus) if encoder is None else DenseRetriever(corpus, encoder)
        self._hash = settings_hash(settings, "embedding", "llm", "training_data")
        self._lock = threading.Lock()
        self._notes: dict[str, None] = {}
        self._heard = threading.local()

    @property
    def identity(self) -> list[str]:
        """What results depend on besides the sources: settings and models."""
        passages = "" if self.encoder is None else self.encoder.fingerprint("passage")
        queries = "" if self.encoder is None else self.encoder.fingerprint("query")
        return [self._hash, passages, queries, *generator_identity(self.generator, self.settings)]

    @property
    def can_be_told_again(self) -> bool:
        """Whether a later run with the same models can be told from one with others."""
        return self.generator is None or isinstance(getattr(self.generator, "model_name", None), str)

    def random(self, *purpose: Any) -> random.Random:
        """Return random numbers that depend on the seed and on what they are for, such as ``"crop"`` and an id."""
        return keyed_random(self.settings.seed, *purpose)

    def lineage(self, **fields: Any) -> Lineage:
        """Return where something came from, with the seed and the hash of the settings."""
        return Lineage(settings_hash=self._hash, seed=self.settings.seed, **fields)

    def note(self, text: str, *, expected: bool = False) -> None:
        """Say in the log and in the metrics how something was done that one might expect otherwise, once a run.

        Args:
            text: What, and why; holds no text of a document or a user.
            expected: Whether it is as the settings say, and thus worth no warning.
        """
        if (heard := getattr(self._heard, "notes", None)) is not None and text not in heard:
            heard.append(text)
        with self._lock:
            if text in self._notes:
                return
            self._notes[text] = None
        (_log.info if expected else _log.warning)(text)

    @contextmanager
    def noting(self) -> Iterator[list[str]]:
        """Gather what this thread notes in a ``with`` block, for a run that goes on with what was made in it.

        Yields:
            The notes, each once; complete at the end of the block.
        """
        self._heard.notes = []
        try:
            yield self._heard.notes
        finally:
            self._heard.notes = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noted, sorted, for threads note in any order."""
        with self._lock:
            return tuple(sorted(self._notes))


def generator_identity(generator: TextGenerator | None, settings: Settings) -> list[str]:
    """Return what texts of a language model depend on, as far as it can be told: its kind, its name, the prompts.

    Args:
        generator: Writes; ``None`` where no language model is used.
        settings: Say where prompts are.

    Returns:
        Names and hashes; none without a language model.
    """
    if generator is None:
        return []
    manager = PromptManager(settings=settings)
    prompts = [manager.get(name).source.content_hash for name in _PROMPTS]
    return [type(generator).__qualname__, str(getattr(generator, "model_name", "")), *prompts]
