"""The project's own form of a conversation, with its version, and the dicts of the old modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.services.conversation.formats.reading import as_list, as_mapping, reading, refuse_unknown

__all__ = ["FORMAT_NAME", "FORMAT_VERSION", "from_native", "to_native"]

FORMAT_NAME = "ragtime.conversation"
FORMAT_VERSION = 1


def to_native(head: ConversationHead, turns: Sequence[StoredTurn]) -> dict[str, Any]:
    """Write a conversation as a JSON object.

    Args:
        head: What is known of it.
        turns: Its turns of every branch, each after its parent.

    Returns:
        The object, with ``format`` and ``version``; fields that have their default are left out.
    """
    told = head.model_dump(mode="json", exclude_defaults=True) | {"id": head.id, "created_at": _text(head.created_at)}
    written = []
    for turn in turns:
        fields = turn.interaction.model_dump(mode="json", exclude_defaults=True)
        always: dict[str, Any] = {"id": turn.interaction.id, "created_at": _text(turn.interaction.created_at)}
        if turn.interaction.parts:  # whose type is a default, and tells what they are
            always["parts"] = [part.model_dump(mode="json", exclude_none=True) for part in turn.interaction.parts]
        written.append({**always, **fields, **always, "parent_id": turn.parent_id})
    return {"format": FORMAT_NAME, "version": FORMAT_VERSION, **told, "turns": written}


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def from_native(data: Mapping[str, Any]) -> tuple[ConversationHead, list[StoredTurn]]:
    """Read what ``to_native`` wrote, or a dict of the old modules.

    Args:
        data: The object.

    Returns:
        What is known of the conversation, and its turns.

    Raises:
        InvalidArgumentError: It is no such object, of a newer version, or a turn is wrong; names which.
    """
    data = as_mapping(data, "a conversation")
    if "format" not in data and "history" in data:
        return _from_legacy(data)
    if data.get("format") != FORMAT_NAME:
        raise InvalidArgumentError(f"Not a conversation: its format is not {FORMAT_NAME!r}")
    version = data.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION or version < 1:
        raise InvalidArgumentError(
            f"The conversation has version {str(version)[:20]} of the format; this ragtime reads up to {FORMAT_VERSION}"
        )
    fields = {name: value for name, value in data.items() if name not in {"format", "version", "turns"}}
    with reading("head", 1):
        head = ConversationHead(**fields)
    turns = []
    for number, item in enumerate(as_list(data.get("turns", []), "turns"), start=1):
        with reading("turn", number):
            turn = dict(as_mapping(item, "a turn"))
            parent = turn.pop("parent_id", None)
            turns.append(StoredTurn(interaction=Interaction(**turn), parent_id=parent))
    return head, turns


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
