"""Queries that a language model makes up."""

from __future__ import annotations

import re

from ragtime.protocols import TextGenerator
from ragtime.services.training_data_gen.strategies.asking import ask_for_texts
from ragtime.services.training_data_gen.strategies.synthetic.pair import Pair, Passage
from ragtime.services.training_data_gen.tools import Tools
from ragtime.utils.templates import Prompt, PromptManager

__all__ = ["PROMPT", "PromptedQueries"]

PROMPT = "query-generation"
_BUDGET = 3000  # tokens of the messages; a longer passage is cut at its end
_POINTS = re.compile(
    r"\b(?:the|this|that|above|given) (?:passage|text|document|article|section|paragraph)\b", re.IGNORECASE
)


class PromptedQueries:
    """Asks a language model, and says which of what it wrote can be used."""

    def __init__(self, tools: Tools, generator: TextGenerator) -> None:
        """Get ready.

        Args:
            tools: Settings, seed and notes.
            generator: Writes.
        """
        self._tools = tools
        self._generator = generator
        self._prompt: Prompt = PromptManager(settings=tools.settings).get(PROMPT)

    def pairs(self, passage: Passage, count: int) -> list[Pair]:
        """Ask for queries.

        Args:
            passage: The passage.
            count: How many.

        Returns:
            At most so many; fewer, or none, where the model failed or wrote something else, which is noted.

        Raises:
            BackendCancelledError: The caller stopped the model.
        """
        document = passage.document
        variables = {"passage": document.text, "title": document.title or None, "count": count}
        messages = self._prompt.fit(variables, max_tokens=_BUDGET).messages
        written = ask_for_texts(
            self._generator,
            messages,
            self._tools,
            purpose=("prompted query", document.id),
            instead="queries were made by rules instead",
        )
        if written is None:
            return []
        queries = [query for query in written if self._is_query(query, document.text)][:count]
        if len(queries) < count:
            self._tools.note("The language model wrote too few queries for a passage: the rest was made by rules")
        return [Pair(query, document.content, "prompted", None, {"prompt": PROMPT}) for query in queries]

    @staticmethod
    def _is_query(query: str, text: str) -> bool:
        return _POINTS.search(query) is None and query.casefold() not in text.casefold()
