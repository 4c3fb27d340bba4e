"""Which passage of the corpus stands for a document that somebody named, and which for one that nobody named."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ragtime.records.retrieval import Document
from ragtime.services.conversation.lexical import LexicalIndex
from ragtime.services.training_data_gen.tools import Tools
from ragtime.utils.extras import LazyModule
from ragtime.utils.stems import stems_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["FoundPassage", "named_passage", "recovered_passage"]

_SEARCHED = 2000  # characters of a question and its answer that a search reads
_SHARE = 0.5  # of the different stems of the text searched for, at least so many stand in a recovered passage
_LEAD_WORDS = 1.15  # the score of a recovered passage, divided by that of the runner-up: BM25
_LEAD_COSINE = 0.05  # the same as a difference of cosines, for their scale is fixed
_COSINE = 0.5  # least cosine of a recovered passage


class FoundPassage(NamedTuple):
    """A passage, and how it was found.

    Attributes:
        document: The passage.
        part_of: The document that it is a part of, chosen among the parts; ``None`` when it was named itself.
        by: Name of the search that recovered it; ``None`` when it was named.
    """

    document: Document
    part_of: str | None = None
    by: str | None = None

    @property
    def guessed(self) -> bool:
        """Whether nobody named this very passage."""
        return self.part_of is not None or self.by is not None


def named_passage(document_id: str, query: str, answer: str | None, tools: Tools) -> FoundPassage | None:
    """Find the passage that stands for a document.

    Args:
        document_id: The document.
        query: The question that it answers.
        answer: The answer that drew on it; ``None`` when it is not known.
        tools: The corpus.

    Returns:
        The document itself, or, where it was divided, the part that has most to do with question and answer; ``None``
        when the corpus has no such document, or no part of it has anything to do with them.
    """
    whole = tools.corpus.get(document_id)
    if whole is not None:
        return FoundPassage(whole)
    ids = tools.corpus.parts_of(document_id)
    if not ids:
        return None
    found = tools.corpus.find(ids)
    best = _best_part(_searched(query, answer), [found[one] for one in ids], tools)
    return None if best is None else FoundPassage(best, part_of=document_id)


def recovered_passage(query: str, answer: str | None, tools: Tools) -> FoundPassage | None:
    """Search for the passage that a question without documents is about, and take it only when it stands out.

    It is the best hit of the run's search for question and answer together. It must be clearly ahead of the second
    one: by 15 % of its score in a search by words, or by 0.05 of cosine with vectors. And it must have to do with the
    text: hold at least half of its different stems, or, with vectors, have a cosine of at least 0.5.

    Args:
        query: The question.
        answer: The answer; ``None`` when it is not known.
        tools: The corpus and its search.

    Returns:
        The passage; ``None`` when none stands out.
    """
    text = _searched(query, answer)
    hits = tools.retriever.search([text], 2)[0]
    if not hits:
        return None
    best, second = hits[0].score, hits[1].score if len(hits) > 1 else 0.0
    document = tools.corpus.get(hits[0].id)
    if document is None:
        return None
    if tools.encoder is not None:
        stands_out = best >= _COSINE and best - second >= _LEAD_COSINE
    else:
        stems = set(stems_of(text))
        held = stems.intersection(stems_of(document.content))
        stands_out = best >= _LEAD_WORDS * second and len(held) >= _SHARE * len(stems)
    return FoundPassage(document, by=tools.retriever.name) if stands_out else None


def _best_part(text: str, parts: Sequence[Document], tools: Tools) -> Document | None:
    if tools.encoder is not None:
        vectors = tools.encoder.encode([part.content for part in parts], role="passage")
        return parts[int(np.argmax(vectors @ tools.encoder.encode([text], role="query")[0]))]
    index = LexicalIndex()
    for part in parts:
        index.add(part.content)
    hits = index.search(text, 1)
    return parts[hits[0][0]] if hits else None


def _searched(query: str, answer: str | None) -> str:
    return f"{query[:_SEARCHED]}\n{answer[:_SEARCHED]}" if answer else query[:_SEARCHED]
