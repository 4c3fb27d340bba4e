"""Where a derived thing came from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, model_validator

from ragtime.records.base import Identifier, Record

__all__ = ["Lineage", "Rater", "ids_by_kind"]

_ONES = {
    "users": "user_id",
    "conversations": "conversation_id",
    "queries": "query_id",
    "datasets": "dataset_id",
    "models": "model_id",
}
_LISTS = {
    "turns": "turn_ids",
    "context_turns": "context_turn_ids",
    "documents": "document_ids",
    "feedback": "feedback_ids",
    "examples": "example_ids",
}


class Rater(Record):
    """Somebody who has rated, as far as anybody knows.

    Attributes:
        user_id: Who; ``None`` when nobody knows.
        conversation_id: The conversation of this user in which it was; ``None`` when nobody knows.
    """

    user_id: Identifier | None = None
    conversation_id: Identifier | None = None


class Lineage(Record):
    """What a training example, a data set or a model was made of, so that one can walk back to the turn that taught it.

    Attributes:
        source: What kind of source it came from, such as ``documents``; ``None`` when nobody knows.
        user_id: Whose turns they were; ``None`` for none.
        conversation_id: The conversation; ``None`` for none.
        turn_ids: The turns, in their order.
        context_turn_ids: The turns before these whose texts stand in its context, in their order.
        document_ids: The documents.
        span: Where the text stands in the text of the first document, in characters: its start and its end.
        query_id: The query in its set of queries; ``None`` for none.
        feedback_ids: The ratings; those that tell what is wrong come last.
        raters: Who gave these, each once, where it is somebody else than `user_id`; one without any id stands for all
            of whom nobody knows who they are.
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
    context_turn_ids: tuple[Identifier, ...] = ()
    document_ids: tuple[Identifier, ...] = ()
    span: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] | None = None
    query_id: Identifier | None = None
    feedback_ids: tuple[Identifier, ...] = ()
    raters: tuple[Rater, ...] = ()
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


def ids_by_kind(lineages: Iterable[Lineage]) -> dict[str, set[str]]:
    """Gather the ids that some things came from, as models tell of their data.

    Args:
        lineages: Where the things came from.

    Returns:
        The ids by kind, kinds without any left out: ``users`` and ``conversations`` with those of the raters,
        ``turns``, ``context_turns``, ``documents``, ``queries``, ``feedback``, ``examples``, ``datasets``, ``models``.
    """
    found: dict[str, set[str]] = {}
    for lineage in lineages:
        for kind, field in _ONES.items():
            if (one := getattr(lineage, field)) is not None:
                found.setdefault(kind, set()).add(one)
        for kind, field in _LISTS.items():
            if several := getattr(lineage, field):
                found.setdefault(kind, set()).update(several)
        for rater in lineage.raters:
            if rater.user_id is not None:
                found.setdefault("users", set()).add(rater.user_id)
            if rater.conversation_id is not None:
                found.setdefault("conversations", set()).add(rater.conversation_id)
    return found
