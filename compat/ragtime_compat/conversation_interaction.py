"""A question with its answer, as the old conversations had it, and the turns that stand for it in the new ones."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from pydantic import ValidationError

from ragtime.migration.deprecation import deprecated_class
from ragtime.monitoring.logging import get_logger
from ragtime.records.conversation import MAX_CONTENT_CHARACTERS, InteractionRole
from ragtime.records.conversation import Interaction as Turn

__all__ = [
    "Interaction",
    "copied",
    "ids_of",
    "means_turn",
    "plain",
    "read_records",
    "text_of",
    "time_of",
    "turns_of",
    "written",
]

_log = get_logger(f"ragtime.{__name__}")
_ROLES = frozenset(get_args(InteractionRole)) - {"tool"}  # whose turn names a call, and so has a keyword
_OLD_KEYWORDS = frozenset({"query", "response"})
_NEW_KEYWORDS = frozenset(Turn.model_fields) - {"document_ids", "metadata"}  # which both calls have
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # what UTF-8 or databases cannot hold


@deprecated_class("conversation")
@dataclass
class Interaction:
    """A question and its answer.

    Attributes:
        query: What the user asked.
        response: What the assistant answered.
        timestamp: When, in seconds since 1970.
        document_ids: Ids of the documents that the answer drew on.
        metadata: Anything else.
    """

    query: str
    response: str
    timestamp: float = field(default_factory=time.time)
    document_ids: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


Interaction.__module__ = "conversation_compat"  # where it is public, so that pickles and messages name that


def means_turn(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> bool:
    """Whether ``add_interaction`` is called for a turn, not for an exchange: by its keywords, else a role's name."""
    if not keywords.keys().isdisjoint(_OLD_KEYWORDS):
        return False
    if not keywords.keys().isdisjoint(_NEW_KEYWORDS):
        return True
    return bool(arguments) and isinstance(arguments[0], str) and arguments[0] in _ROLES


def text_of(value: object) -> str:
    """Return what a caller gives as a text; ``None`` is an empty one."""
    return "" if value is None else str(value)


def ids_of(value: object) -> list[Any]:
    """Return what a caller gives as ids of documents: a list of any items; ``None`` is an empty one."""
    if value is None:
        return []
    return [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)


def copied(interaction: Interaction) -> Interaction:
    """Return a copy that shares no list and no dict with the original."""
    made = copy.copy(interaction)
    made.document_ids, made.metadata = _own(made.document_ids), _own(made.metadata)
    return made


def written(interaction: Interaction) -> dict[str, Any]:
    """Return an interaction as a record of the old dicts, which shares no list and no dict with it."""
    return {
        "query": interaction.query,
        "response": interaction.response,
        "timestamp": interaction.timestamp,
        "document_ids": _own(interaction.document_ids),
        "metadata": _own(interaction.metadata),
    }


def _own(value: Any) -> Any:
    """Copy lists and dicts, also those in tuples; whatever else a caller keeps there is theirs."""
    if isinstance(value, Mapping):
        return {name: _own(inner) for name, inner in value.items()}
    if type(value) is tuple:
        return tuple(_own(inner) for inner in value)
    return [_own(inner) for inner in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Return metadata of a turn, whose lists and dicts are frozen, as lists and dicts."""
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def read_records(history: object) -> list[Interaction]:
    """Read the records of an old dict.

    Args:
        history: What stands under ``history``; ``None`` means no records.

    Returns:
        The interactions. Records without a question and an answer are left out, which is logged.
    """
    if history is None:
        return []
    if not isinstance(history, list | tuple):
        _log.warning("The history of a conversation is no list; it is left out", found=type(history).__name__)
        return []
    found = [_read(record) for record in history]
    left_out = found.count(None)
    if left_out:
        _log.warning("Records without query and response are left out", count=left_out, records=len(found))
    return [interaction for interaction in found if interaction is not None]


def _read(record: object) -> Interaction | None:
    if not isinstance(record, Mapping):
        return None
    if record.get("query") is None or "response" not in record:
        return None
    stamp, ids, metadata = record.get("timestamp"), record.get("document_ids"), record.get("metadata")
    return Interaction(
        query=text_of(record["query"]),
        response=text_of(record["response"]),
        timestamp=time.time() if stamp is None else stamp,
        document_ids=[_own(one) for one in ids] if isinstance(ids, list | tuple) else [],
        metadata=_own(metadata) if isinstance(metadata, Mapping) else {},
    )


def time_of(interaction: Interaction) -> datetime | None:
    """Return the time of an interaction; ``None`` when its timestamp is no time between the years 1 and 9999."""
    try:
        return datetime.fromtimestamp(interaction.timestamp, UTC)
    except (TypeError, OverflowError, OSError, ValueError):
        return None


def turns_of(interaction: Interaction, created_at: datetime) -> list[Turn]:
    """Return what a conversation keeps of an interaction: the question's turn, and that of the answer.

    Turns hold less than the old records did. A blank text has no turn; characters that UTF-8 cannot hold are replaced;
    ids become texts; ids or metadata that no turn can hold are left out.

    Args:
        interaction: The interaction.
        created_at: The time of both.

    Returns:
        The turns, none when both texts are blank.
    """
    question, answer = _storable(interaction.query), _storable(interaction.response)
    turns = []
    if question.strip():
        turns.append(Turn(role="user", content=question, created_at=created_at))
    if answer.strip():
        fields = {
            "document_ids": tuple(str(one).strip() for one in interaction.document_ids),
            "metadata": interaction.metadata,
        }
        turns.append(_turn(answer, created_at, fields))
    return turns


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)[:MAX_CONTENT_CHARACTERS]


def _turn(answer: str, created_at: datetime, fields: Mapping[str, Any]) -> Turn:
    """Make the turn of an answer, without those of `fields` that it cannot hold."""
    try:
        return Turn(role="assistant", content=answer, created_at=created_at, **fields)
    except ValidationError as error:
        wrong = fields.keys() & {problem["loc"][0] for problem in error.errors(include_input=False) if problem["loc"]}
        if not wrong:
            raise
        told = ", ".join(sorted(wrong))
        _log.warning("A turn cannot hold all of an interaction; the old record keeps it", fields=told)
        return _turn(answer, created_at, {name: value for name, value in fields.items() if name not in wrong})
