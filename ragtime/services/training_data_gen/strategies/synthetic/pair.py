"""What the methods make before it becomes an example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.text import Sentence, sentences_of

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["Pair", "Passage"]


@dataclass(frozen=True)
class Passage:
    """A passage as the methods read it.

    Attributes:
        document: The passage.
        title: Its title, or the heading that it begins with, without markup; empty when it has none.
        start: Where its text begins after such a heading, in characters.
    """

    document: Document
    title: str
    start: int

    @cached_property
    def sentences(self) -> Sequence[Sentence]:
        """Its sentences from there on."""
        return [one for one in sentences_of(self.document.text) if one.start >= self.start]


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and what it should retrieve.

    Attributes:
        query: The query.
        response: What it should retrieve.
        method: Which method made it, such as ``cloze``.
        span: Where the text that it was made of stands in the text of the document, in characters; ``None`` when it is
            made of the whole.
        details: What else is known of how it was made.
    """

    query: str
    response: str
    method: str
    span: tuple[int, int] | None = None
    details: dict[str, JsonValue] = field(default_factory=dict)
