"""The project's own form of a conversation, with its version, and the dicts of the old modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.services.conversation.formats.reading import as_list, as_mapping, as_text, reading, refuse_unknown

__all__ = [
    "FORMAT_NAME",
    "SPLIT_VERSION",
    "WHOLE_VERSION",
    "from_native",
    "head_to_native",
    "read_beginning",
    "read_turns",
    "to_native",
    "turn_to_native",
]

FORMAT_NAME = "ragtime.conversation"
WHOLE_VERSION = 1
"""Of a conversation in one object."""
SPLIT_VERSION = 2
"""Of the beginning of a conversation that goes on in further lines; who reads version 1 alone refuses it."""


def to_native(head: ConversationHead, turns: Iterable[StoredTurn]) -> dict[str, Any]:
    """Write a conversation as a JSON object.

    Args:
        head: What is known of it.
        turns: Its turns of every branch, each after its parent.

    Returns:
        The object, with ``format`` and ``version``; fields that have their default are left out.
    """
    written = [turn_to_native(turn) for turn in turns]
    return {"format": FORMAT_NAME, "version": WHOLE_VERSION, **head_to_native(head), "turns": written}


def head_to_native(head: ConversationHead) -> dict[str, Any]:
    """Return the fields of a conversation besides its turns, as JSON values."""
    return head.model_dump(mode="json", exclude_defaults=True) | {"id": head.id, "created_at": _text(head.created_at)}


def turn_to_native(turn: StoredTurn) -> dict[str, Any]:
    """Return the fields of a turn as JSON values, with the id of the turn before it."""
    fields = turn.interaction.model_dump(mode="json", exclude_defaults=True)
    always: dict[str, Any] = {"id": turn.interaction.id, "created_at": _text(turn.interaction.created_at)}
    if turn.interaction.parts:  # whose type is a default, and tells what they are
        always["parts"] = [part.model_dump(mode="json", exclude_none=True) for part in turn.interaction.parts]
    return {**always, **fields, **always, "parent_id": turn.parent_id}


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def from_native(data: Mapping[str, Any]) -> tuple[ConversationHead, list[StoredTurn]]:
    """Read what ``to_native`` wrote, or a dict of the old modules.

    Args:
        data: The object.

    Returns:
        What is known of the conversation, and its turns.

    Raises:
        InvalidArgumentError: It is no such object, of a newer version, or a turn is wrong; names which. Or it is the
            mere beginning of a long conversation, as exported files have it.
    """
    head, turns, goes_on = read_beginning(data)
    if goes_on:
        raise InvalidArgumentError(
            f"The object holds the first {len(turns)} turns of a conversation that goes on in the lines after it; "
            "import the whole file with ConversationManager.import_conversations"
        )
    return head, turns


def read_beginning(data: Mapping[str, Any]) -> tuple[ConversationHead, list[StoredTurn], bool]:
    """Read a conversation, or the beginning of one that goes on in further lines.

    Args:
        data: The object.

    Returns:
        What is known of the conversation, its turns, and whether more of them follow.

    Raises:
        InvalidArgumentError: As ``from_native``, but for what goes on.
    """
    data = as_mapping(data, "a conversation")
    if "format" not in data and "history" in data:
        return *_from_legacy(data), False
    if data.get("format") != FORMAT_NAME:
        raise InvalidArgumentError(
            f"Not a conversation: its format is not {FORMAT_NAME!r}; messages as others write them need the name of "
            "their format (openai, anthropic, sharegpt, hf)"
        )
    version = data.get("version")
    if type(version) is not int or not WHOLE_VERSION <= version <= SPLIT_VERSION:
        raise InvalidArgumentError(
            f"The conversation has version {str(version)[:20]} of the format; this ragtime reads up to {SPLIT_VERSION}"
        )
    fields = {name: value for name, value in data.items() if name not in {"format", "version", "turns"}}
    goes_on = fields.pop("goes_on", None) if version == SPLIT_VERSION else False
    if not isinstance(goes_on, bool):
        raise InvalidArgumentError("goes_on is true or false")
    with reading("the conversation"):
        head = ConversationHead(**fields)
    return head, read_turns(data.get("turns", [])), goes_on


def read_turns(data: Any, *, first: int = 1) -> list[StoredTurn]:
    """Read a list of turns.

    Args:
        data: The list.
        first: The number of its first turn in the conversation, for messages.

    Returns:
        The turns.

    Raises:
        InvalidArgumentError: It is no list, or a turn is wrong; names which.
    """
    turns = []
    for number, item in enumerate(as_list(data, "turns"), start=first):
        with reading("turn", number):
            turn = dict(as_mapping(item, "a turn"))
            parent = turn.pop("parent_id", None)
            interaction = Interaction(**turn)
            turns.append(StoredTurn(interaction, None if parent is None else as_text(parent, "parent_id")))
    return turns


def _from_legacy(data: Mapping[str, Any]) -> tuple[ConversationHead, list[StoredTurn]]:
    """Read ``{"history": [{"query", "response", "timestamp", "document_ids", "metadata"}]}``.

    Each record becomes a question and its answer; both have its time, documents and metadata are the answer's.
    """
    turns: list[StoredTurn] = []
    parent: str | None = None
    started: datetime | None = None
    for number, item in enumerate(as_list(data.get("history") or [], "history"), start=1):
        with reading("record", number):
            record = as_mapping(item, "a record")
            refuse_unknown(record, {"query", "response", "timestamp", "document_ids", "metadata"})
            if "query" not in record or "response" not in record:
                raise InvalidArgumentError("needs query and response")
            time = _time(record.get("timestamp"))
            question = Interaction(role="user", content=record["query"], created_at=time)
            answer = Interaction(
                role="assistant",
                content=record["response"],
                created_at=time,
                document_ids=tuple(as_list(record.get("document_ids") or [], "document_ids")),
                metadata=dict(as_mapping(record.get("metadata") or {}, "metadata")),
            )
            for interaction in (question, answer):
                turns.append(StoredTurn(interaction=interaction, parent_id=parent))
                parent = interaction.id
            started = started or time
    head = ConversationHead(id=Interaction(role="user", content="-").id, created_at=started or datetime.now(UTC))
    return head, turns


def _time(stamp: Any) -> datetime:
    if stamp is None:
        return datetime.now(UTC)
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        raise InvalidArgumentError("timestamp is in seconds since 1970")
    try:
        return datetime.fromtimestamp(stamp, UTC)
    except (OverflowError, OSError, ValueError):
        raise InvalidArgumentError("timestamp is no time") from None
