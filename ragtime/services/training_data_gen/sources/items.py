"""What sources give, one by one, whatever they were read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, AwareDatetime, Field, JsonValue

from ragtime.records.base import FrozenDict, Identifier, Record, Text, freeze
from ragtime.records.conversation import ConversationHead, StoredTurn
from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.example import TrainingExample

__all__ = ["BadRecord", "FeedbackRecord", "JudgedQuery", "SourceConversation", "Sources"]


class BadRecord(NamedTuple):
    """A record that cannot be used; one never costs the others.

    Attributes:
        reason: Why, in a few words that are the same for all of a kind, such as ``rating is no number``.
        where: Which it was, such as ``feedback.jsonl, line 7``; holds nothing of its content.
    """

    reason: str
    where: str


class SourceConversation(NamedTuple):
    """A conversation as it was stored.

    Attributes:
        head: What is known of it besides its turns.
        turns: Its turns of every branch, each after its parent.
    """

    head: ConversationHead
    turns: list[StoredTurn]


class JudgedQuery(Record):
    """A query, and what is known of its documents.

    Attributes:
        id: Identifies it among the queries.
        text: The query.
        judgements: Grade of each judged document, 0 (not relevant) and up; ``None`` when nobody has judged.
    """

    id: Identifier
    text: Text
    judgements: Annotated[Mapping[Identifier, Annotated[int, Field(ge=0)]], AfterValidator(freeze)] | None = None

    def __hash__(self) -> int:
        return hash((self.id, self.text))


class FeedbackRecord(Record):
    """A rating of an answer, in whatever shape it was written.

    Attributes:
        id: Identifies it among the ratings.
        query: The question.
        response: The answer as plain text; ``None`` when it was not kept.
        stars: The rating, brought to 1 (bad) to 5 (good).
        document_ids: The documents that the answer drew on, the most important first.
        created_at: When it was given; ``None`` when nobody knows.
        user_id: Who gave it; ``None`` when nobody knows.
        conversation_id: The conversation; ``None`` when nobody knows.
        metadata: Anything else that JSON can hold.
    """

    id: Identifier
    query: Text
    response: Text | None = None
    stars: Annotated[float, Field(ge=1.0, le=5.0, allow_inf_nan=False)]
    document_ids: tuple[Identifier, ...] = ()
    created_at: AwareDatetime | None = None
    user_id: Identifier | None = None
    conversation_id: Identifier | None = None
    metadata: Annotated[Mapping[str, JsonValue], AfterValidator(freeze)] = Field(default_factory=FrozenDict)

    def __hash__(self) -> int:
        return hash((self.id, self.query))


@dataclass(frozen=True)
class Sources:
    """All sources of a run. Each is a function that reads anew from the beginning; ``None`` where none was given.

    Attributes:
        documents: Reads the passages.
        conversations: Reads the conversations.
        queries: Reads the queries.
        feedback: Reads the ratings.
        examples: Reads the examples that exist already.
        origin: ``given``, or ``sample`` when the packaged sample is used for want of any other.
    """

    documents: Callable[[], Iterator[Document | BadRecord]] | None = None
    conversations: Callable[[], Iterator[SourceConversation | BadRecord]] | None = None
    queries: Callable[[], Iterator[JudgedQuery | BadRecord]] | None = None
    feedback: Callable[[], Iterator[FeedbackRecord | BadRecord]] | None = None
    examples: Callable[[], Iterator[TrainingExample | BadRecord]] | None = None
    origin: str = "given"
