"""What the loop learns from: conversations, ratings, documents, queries and examples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen import SourceOptions, TrainingExample
from ragtime.services.training_data_gen.sources.items import (
    BadRecord,
    FeedbackRecord,
    JudgedQuery,
    SourceConversation,
    Sources,
)
from ragtime.services.training_data_gen.sources.opening import open_sources
from ragtime.services.training_data_gen.sources.reading import read_records
from ragtime.utils.hashing import canonical_json

__all__ = ["LearningSources", "SourceContent", "read_contents"]

_KINDS = ("documents", "conversations", "queries", "feedback", "examples")

SourceRecord = Document | SourceConversation | JudgedQuery | FeedbackRecord | TrainingExample | BadRecord
"""What a source gives."""


@dataclass(frozen=True, kw_only=True)
class LearningSources:
    """What the loop learns from; each source as ``TrainingDataGenerator`` takes it, at least one of them.

        >>> LearningSources(documents=["Returns are free."], feedback=[]).given()
        ('documents', 'feedback')

    What an iterator gives is kept in memory, for sources are read more than once.

    Attributes:
        conversations: A ``ConversationManager``, conversations, or a file of them; ``None`` for none.
        feedback: Ratings: a file, or records; ``None`` for none.
        documents: What is searched: a folder, a file, documents or a store; ``None`` means those that the queries
            bring along, if any.
        queries: Queries with or without judgements: a file, a folder in the layout of BEIR, or the queries; ``None``
            for none.
        examples: Training examples that exist already: a file, or the examples; ``None`` for none.
        options: Names of fields and scales that differ from the usual; ``None`` means the usual.
    """

    conversations: Any = None
    feedback: Any = None
    documents: Any = None
    queries: Any = None
    examples: Any = None
    options: SourceOptions | None = None

    def __post_init__(self) -> None:
        """Check that there is something to learn from.

        Raises:
            InvalidArgumentError: No source is given.
        """
        if not self.given():
            raise InvalidArgumentError(
                f"sources: none is given; expected at least one of {', '.join(_KINDS)}, such as documents and feedback"
            )
        for kind in self.given():
            if isinstance(getattr(self, kind), Iterator):
                object.__setattr__(self, kind, list(getattr(self, kind)))

    def given(self) -> tuple[str, ...]:
        """Return the kinds that are given, in the order in which they are read."""
        return tuple(kind for kind in _KINDS if getattr(self, kind) is not None)

    def opened(self, settings: Settings) -> Sources:
        """Check what was given, and return what reads it.

        Args:
            settings: Tell how long a passage may be.

        Returns:
            The sources; the documents that queries bring along are among them.

        Raises:
            InvalidArgumentError: A source is of no known kind, or its file does not exist; names the argument.
        """
        given = {kind: getattr(self, kind) for kind in _KINDS}
        return open_sources(settings, **given, options=self.options)


class SourceContent(NamedTuple):
    """What a source holds.

    Attributes:
        digest: Hash of its records, the same in any order.
        records: How many different ones can be used.
    """

    digest: str
    records: int


def read_contents(sources: Sources) -> dict[str, SourceContent]:
    """Read all sources once, to tell them from others.

    Args:
        sources: The sources.

    Returns:
        What each holds, by kind; records that cannot be used count in the hash, by their reasons.

    Raises:
        GenerationError: A source of the caller's own cannot be read.
        StorageError: A file of a judged set is damaged.
    """
    readers = {kind: getattr(sources, kind) for kind in _KINDS}
    return {
        kind: _content(read_records(kind, reader)) for kind, reader in sorted(readers.items()) if reader is not None
    }


def _content(records: Iterator[SourceRecord]) -> SourceContent:
    digests: list[bytes] = []
    usable: set[bytes] = set()
    for record in records:
        digest = hashlib.sha256(_told(record).encode("utf-8", "surrogatepass")).digest()[:16]
        digests.append(digest)
        if not isinstance(record, BadRecord):
            usable.add(digest)
    whole = hashlib.sha256()
    for digest in sorted(digests):
        whole.update(digest)
    return SourceContent(whole.hexdigest(), len(usable))


def _told(record: SourceRecord) -> str:
    if isinstance(record, BadRecord):
        return f"cannot be used: {record.reason}"  # where it stood is not what it holds
    if isinstance(record, SourceConversation):
        turns = [[turn.interaction.model_dump(mode="json"), turn.parent_id] for turn in record.turns]
        return canonical_json([record.head.model_dump(mode="json"), turns])
    return canonical_json(record.model_dump(mode="json"))
