"""Reading conversations whose turns are objects with a speaker and a text, whatever the fields are called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragtime.records.conversation import ConversationHead, Interaction, InteractionRole, StoredTurn
from ragtime.services.training_data_gen.sources.given import UnusableError, given_id
from ragtime.services.training_data_gen.sources.items import SourceConversation
from ragtime.services.training_data_gen.sources.times import EPOCH, parse_time
from ragtime.utils.hashing import content_hash

__all__ = ["conversation_id_of", "rebuilt", "turns_conversation"]

_SPEAKERS: Mapping[str, InteractionRole] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "customer": "user",
    "client": "user",
    "assistant": "assistant",
    "agent": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "gpt": "assistant",
    "model": "assistant",
}
_SPEAKER_FIELDS, _TEXT_FIELDS = ("role", "speaker", "from"), ("content", "text", "utterance", "value")
_TIME_FIELDS = ("created_at", "timestamp")
_HASH_DIGITS = 32


def conversation_id_of(data: Mapping[str, Any]) -> str:
    """Return the id of a conversation, or a hash of its content: never a random one, which would differ each time."""
    return given_id(data, "id", "_id", "conversation_id") or content_hash(dict(data))[:_HASH_DIGITS]


def turns_conversation(data: Mapping[str, Any], field: str) -> SourceConversation:
    """Read ``{FIELD: [{"role": …, "content": …}, …]}``; a turn may have ``speaker`` and ``text`` just as well.

    Of a turn, its id, its time and ``document_ids`` are read, too; of the conversation ``id``, ``user_id`` and
    ``metadata``. Further fields are not.

    Args:
        data: The object.
        field: Name of the field with the turns.

    Returns:
        The conversation. A time that is not told is 1970; a turn without an id has that of the conversation, and its
        number.

    Raises:
        UnusableError: Something is wrong; says what.
    """
    items = data.get(field)
    if not isinstance(items, list | tuple):
        raise UnusableError(f"{field} is no list")
    conversation_id = conversation_id_of(data)
    turns: list[StoredTurn] = []
    parent: str | None = None
    for number, item in enumerate(items, start=1):
        if not isinstance(item, Mapping):
            raise UnusableError("a turn is no object")
        turn = Interaction(
            id=given_id(item, "id") or _numbered(conversation_id, number),
            role=_role(item),
            content=_content(item),
            created_at=_time(item) or EPOCH,
            document_ids=_documents(item),
        )
        turns.append(StoredTurn(turn, parent))
        parent = turn.id
    metadata = data.get("metadata")
    head = ConversationHead(
        id=conversation_id,
        user_id=given_id(data, "user_id"),
        created_at=_time(data) or (turns[0].interaction.created_at if turns else EPOCH),
        metadata=metadata if isinstance(metadata, Mapping) else {},
        tip=parent,
    )
    return SourceConversation(head, turns)


def rebuilt(data: Mapping[str, Any], turns: list[StoredTurn]) -> SourceConversation:
    """Give turns of a format that knows no ids those that they have at every reading.

    Args:
        data: The object that they were read from.
        turns: The turns, one after the other.

    Returns:
        The conversation.

    Raises:
        UnusableError: The object's id is none.
    """
    conversation_id = conversation_id_of(data)
    made: list[StoredTurn] = []
    parent: str | None = None
    for number, turn in enumerate(turns, start=1):
        turn_id = _numbered(conversation_id, number)
        made.append(StoredTurn(turn.interaction.model_copy(update={"id": turn_id}), parent))
        parent = turn_id
    created_at = made[0].interaction.created_at if made else EPOCH
    head = ConversationHead(id=conversation_id, user_id=given_id(data, "user_id"), created_at=created_at, tip=parent)
    return SourceConversation(head, made)


def _numbered(conversation_id: str, number: int) -> str:
    return f"{conversation_id}/{number}"


def _role(item: Mapping[str, Any]) -> InteractionRole:
    for field in _SPEAKER_FIELDS:
        told = item.get(field)
        if isinstance(told, str):
            # A speaker called "system" is the machine that one talks to; a role called so gives it its orders.
            if field == "speaker" and told.strip().lower() == "system":
                return "assistant"
            role = _SPEAKERS.get(told.strip().lower())
            if role is None:
                raise UnusableError("a turn has an unknown speaker")
            return role
    raise UnusableError("a turn has no speaker")


def _content(item: Mapping[str, Any]) -> str:
    for field in _TEXT_FIELDS:
        text = item.get(field)
        if isinstance(text, str):
            return text
    raise UnusableError("a turn has no text")


def _time(item: Mapping[str, Any]) -> Any:
    for field in _TIME_FIELDS:
        if item.get(field) is not None:
            try:
                return parse_time(item[field])
            except ValueError:
                raise UnusableError(f"{field} is no time") from None
    return None


def _documents(item: Mapping[str, Any]) -> tuple[str, ...]:
    found = item.get("document_ids") or ()
    if isinstance(found, str):  # one id, never its characters
        return (found,)
    if isinstance(found, list | tuple) and all(isinstance(one, str) for one in found):
        return tuple(found)
    raise UnusableError("document_ids of a turn are no ids")
