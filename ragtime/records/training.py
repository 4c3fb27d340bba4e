"""Where a derived thing came from."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from ragtime.records.base import Identifier, Record

__all__ = ["Lineage"]


class Lineage(Record):
    """What a training example, a data set or a model was made of, so that one can walk back to the turn that taught it.

    Attributes:
        source: What kind of source it came from, such as ``documents``; ``None`` when nobody knows.
        user_id: Whose turns they were; ``None`` for none.
        conversation_id: The conversation; ``None`` for none.
        turn_ids: The turns, in their order.
        document_ids: The documents.
        span: Where the text stands in the text of the first document, in characters: its start and its end.
        query_id: The query in its set of queries; ``None`` for none.
        feedback_ids: The ratings.
        example_ids: The examples that it was made from.
        dataset_id: The data set that it was loaded from; ``None`` for none.
        model_id: Fingerprint of the model that wrote or chose a text of it; ``None`` for none.
        settings_hash: Hash of the settings that change results; ``None`` when nobody knows.
        seed: Seed of the random choices; ``None`` when nobody knows.
    """

    source: Identifier | None = None
    user_id: Identifier | None = None
    conversation_id: Identifier | None = None
    turn_ids: tuple[Identifier, ...] = ()
    document_ids: tuple[Identifier, ...] = ()
    span: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = None
    query_id: Identifier | None = None
    feedback_ids: tuple[Identifier, ...] = ()
    example_ids: tuple[Identifier, ...] = ()
    dataset_id: Identifier | None = None
    model_id: Identifier | None = None
    settings_hash: Identifier | None = None
    seed: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _span_is_one(self) -> Self:
        if self.span is not None and (self.span[0] > self.span[1] or not self.document_ids):
            raise ValueError("span is the start and the end of a text within the first of document_ids")
        return self
