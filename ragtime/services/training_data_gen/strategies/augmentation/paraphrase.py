"""Queries in other words, by a language model."""

from __future__ import annotations

import re

from ragtime.protocols import TextGenerator
from ragtime.services.training_data_gen.strategies.asking import ask_for_texts
from ragtime.services.training_data_gen.tools import Tools
from ragtime.utils.templates import Prompt, PromptManager

__all__ = ["PROMPT", "Paraphrases"]

PROMPT = "paraphrase"
_NUMBER = re.compile(r"\d+")


class Paraphrases:
    """Asks a language model for rewordings."""

    def __init__(self, tools: Tools, generator: TextGenerator) -> None:
        """Get ready.

        Args:
            tools: Settings, seed and notes.
            generator: Writes.
        """
        self._tools = tools
        self._generator = generator
        self._prompt: Prompt = PromptManager(settings=tools.settings).get(PROMPT)

    def of(self, query: str, count: int) -> list[str]:
        """Ask for rewordings of a query.

        Args:
            query: The query.
            count: How many.

        Returns:
            At most so many, with all numbers of the query; fewer, or none, where the model failed or wrote something
            else, which is noted.

        Raises:
            BackendCancelledError: The caller stopped the model.
        """
        messages = self._prompt.messages(query=query, count=count)
        written = ask_for_texts(
            self._generator,
            messages,
            self._tools,
            purpose=("paraphrase", query),
            instead="some queries were not paraphrased",
        )
        if written is None:
            return []
        numbers = set(_NUMBER.findall(query))
        texts = [text for text in written if numbers <= set(_NUMBER.findall(text))][:count]
        if len(texts) < count:
            self._tools.note("The language model wrote too few paraphrases of a query")
        return texts
