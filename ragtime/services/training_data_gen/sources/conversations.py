"""Reading conversations: from a manager, from lists, and from files in the formats that are about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, StoredTurn
from ragtime.services.conversation.conversation import Conversation
from ragtime.services.conversation.formats import Format, import_messages
from ragtime.services.conversation.formats.native import FORMAT_NAME, from_native
from ragtime.services.conversation.formats.native_lines import TURNS_FORMAT_NAME, NativeLine, read_native_line
from ragtime.services.conversation.transfer import conversation_ids
from ragtime.services.conversation.tree import TurnTree
from ragtime.services.training_data_gen.sources.given import (
    UnusableError,
    as_path,
    numbered,
    read_json_lines,
    repeatable,
)
from ragtime.services.training_data_gen.sources.items import BadRecord, SourceConversation
from ragtime.services.training_data_gen.sources.times import EPOCH
from ragtime.services.training_data_gen.sources.turns import rebuilt, turns_conversation

__all__ = ["UNKNOWN_FORM", "KeepsConversations", "conversation_reader"]

UNKNOWN_FORM = "record is no conversation of a known form"
"""Why a record is rejected that has neither the fields of a known format nor turns in the field that was named."""

_SUFFIXES = (".jsonl", ".ndjson")
_EXPECTED = "a list of conversations or of their dicts, a path, or a ConversationManager"
_WHICH_TURN = re.compile(r"(?:message|turn|entry|record|system|head) \d+")
_OWN_FORMATS = (FORMAT_NAME, TURNS_FORMAT_NAME)
_ANTHROPIC_BLOCKS = ("tool_use", "tool_result")


@runtime_checkable
class KeepsConversations(Protocol):
    """A ``ConversationManager``, or anything that has a store and knows whose conversations it is about."""

    @property
    def store(self) -> ConversationStore:
        """Where they rest."""
        ...

    @property
    def user_id(self) -> str | None:
        """Whose they are."""
        ...


def conversation_reader(given: object, *, turns_field: str) -> Callable[[], Iterator[SourceConversation | BadRecord]]:
    """Check what was given as conversations.

    Args:
        given: A ``ConversationManager``, whose user's conversations are read; a list of ``Conversation`` or dicts; or
            a file of JSON Lines. Each dict and line is, as its fields tell, in the library's own form, that of the old
            modules (``history``), of OpenAI, Anthropic or a Hugging Face data set (``messages``), of ShareGPT
            (``conversations``), or has a list of turns.
        turns_field: Name of the field with such a list.

    Returns:
        What reads them. Turns that have no ids or times get the same ones at every reading.

    Raises:
        InvalidArgumentError: It is nothing of that.
    """
    path = as_path(given, "conversations", suffixes=_SUFFIXES)
    if path is not None:
        return partial(_read_file, path, turns_field)
    if isinstance(given, Conversation):
        raise InvalidArgumentError("conversations: found a single Conversation; put it into a list")
    if isinstance(given, KeepsConversations) and isinstance(given.store, ConversationStore):
        return partial(_read_store, given.store, given.user_id)
    return partial(_read_items, repeatable(given, "conversations", _EXPECTED), turns_field)


def _read_store(store: ConversationStore, user_id: str | None) -> Iterator[SourceConversation | BadRecord]:
    for conversation_id in conversation_ids(store, user_id):
        head = store.head(user_id, conversation_id)
        turns = list(store.turns(user_id, conversation_id))
        if head is not None:  # else it was forgotten just now
            yield SourceConversation(head, turns)


def _read_file(path: Path, turns_field: str) -> Iterator[SourceConversation | BadRecord]:
    yield from _read_records(read_json_lines(path, path.name), turns_field)


def _read_items(items: Iterable[object], turns_field: str) -> Iterator[SourceConversation | BadRecord]:
    yield from _read_records(numbered(items, "conversations"), turns_field)


def _read_records(records: Iterable[tuple[str, object]], turns_field: str) -> Iterator[SourceConversation | BadRecord]:
    """Read conversations, the long ones over several records; each counts once, whether it can be used or not."""
    waiting: _Unfinished | None = None
    for where, record in records:
        line = _own_line(record, where)
        if waiting is not None:
            taken = isinstance(line, NativeLine) and waiting.takes(line)
            if not (taken and waiting.goes_on):
                yield waiting.conversation()
                waiting = None
            if taken:
                continue
        found = _begun(line, where) if isinstance(line, NativeLine) else line or _converted(record, turns_field, where)
        if isinstance(found, _Unfinished):
            waiting = found
        else:
            yield found
    if waiting is not None:
        yield waiting.conversation()


class _Unfinished:
    """A conversation of which further lines may come."""

    def __init__(self, line: NativeLine, head: ConversationHead, where: str) -> None:
        self._head = head
        self._turns = list(line.turns)
        self._where = where
        self.goes_on = line.goes_on

    def takes(self, line: NativeLine) -> bool:
        """Add the turns of the next line, if it is that."""
        if line.head is not None or line.conversation_id != self._head.id or line.after != len(self._turns):
            return False
        self._turns += line.turns
        self.goes_on = line.goes_on
        return True

    def conversation(self) -> SourceConversation | BadRecord:
        """Return the conversation, if all of it has come."""
        if self.goes_on:
            return BadRecord("a line of a long conversation is missing or wrong", self._where)
        return _checked(SourceConversation(self._head, self._turns), self._where)


def _begun(line: NativeLine, where: str) -> _Unfinished | SourceConversation | BadRecord:
    if line.head is None:
        return BadRecord("a line of a long conversation is missing or wrong", where)
    begun = _Unfinished(line, line.head, where)
    return begun if line.goes_on else begun.conversation()


def _own_line(record: object, where: str) -> NativeLine | BadRecord | None:
    """Read a record of the library's own form; ``None`` for others."""
    if not isinstance(record, Mapping) or record.get("format") not in _OWN_FORMATS:
        return None
    try:
        return read_native_line(_filled(record))
    except (InvalidArgumentError, ValidationError, RecursionError) as error:
        return _bad("ragtime", error, where)


def _filled(record: Mapping[str, Any]) -> dict[str, Any]:
    """Name what has no id and no time: the records would give it a random one, and the current one."""
    own_id = record.get("id", record.get("conversation_id"))
    filled, after = dict(record), record.get("after")
    if record.get("format") == FORMAT_NAME:
        filled.setdefault("created_at", EPOCH)
    if not isinstance(record.get("turns"), list | tuple):
        return filled
    first = 1 + (after if isinstance(after, int) else 0)
    filled["turns"] = [
        _filled_one(turn, f"{own_id}/{number}") for number, turn in enumerate(record["turns"], start=first)
    ]
    return filled


def _filled_one(item: object, own_id: str) -> object:
    if not isinstance(item, Mapping):
        return item
    filled = {"id": own_id, "created_at": EPOCH, **item}
    if isinstance(item.get("feedback"), list | tuple):
        filled["feedback"] = [
            _filled_one(one, f"{filled['id']}/f{number}") for number, one in enumerate(item["feedback"], start=1)
        ]
    return filled


def _checked(conversation: SourceConversation, where: str) -> SourceConversation | BadRecord:
    """Refuse turns that make no tree."""
    try:
        TurnTree(conversation.turns, tip=conversation.head.tip)
    except InvalidArgumentError:
        return BadRecord("turns do not hang together", where)
    return conversation


def _converted(record: object, turns_field: str, where: str) -> SourceConversation | BadRecord:
    if isinstance(record, BadRecord):
        return record
    if isinstance(record, Conversation):
        return SourceConversation(record.head, record.stored_turns())
    if isinstance(record, SourceConversation):
        return _checked(record, where)
    if not isinstance(record, Mapping):
        return BadRecord("record is no conversation", where)
    kind = "known"
    try:
        if "history" in record and turns_field not in record:
            kind = "legacy"
            conversation = _legacy(record)
        elif turns_field in record and turns_field not in {"messages", "conversations"}:
            conversation = turns_conversation(record, turns_field)
        else:
            kind = _format_of(record)
            conversation = _foreign(record, kind)
    except UnusableError as error:
        return BadRecord(str(error), where)
    except (InvalidArgumentError, ValidationError, RecursionError) as error:
        return _bad(kind, error, where)
    return _checked(conversation, where) if conversation.turns else BadRecord("conversation has no turns", where)


def _bad(kind: str, error: Exception, where: str) -> BadRecord:
    """Name the turn that is wrong, and the format, and nothing that the error may quote."""
    turn = _WHICH_TURN.match(str(error))
    return BadRecord(f"no conversation of the {kind} form", f"{where}, {turn[0]}" if turn else where)


def _legacy(record: Mapping[str, Any]) -> SourceConversation:
    history = record.get("history")
    if not isinstance(history, list | tuple):
        raise UnusableError("history is no list")
    # A time that is missing would be the current one, another at every reading.
    timed = [
        {**one, "timestamp": 0} if isinstance(one, Mapping) and one.get("timestamp") is None else one for one in history
    ]
    _, turns = from_native({"history": timed})
    return rebuilt(record, turns)


def _format_of(record: Mapping[str, Any]) -> Format:
    messages = record.get("messages")
    if "conversations" in record:
        return "sharegpt"
    if not isinstance(messages, list | tuple):
        raise UnusableError(UNKNOWN_FORM)
    contents = [one.get("content") for one in messages if isinstance(one, Mapping)]
    blocks = [block for content in contents if isinstance(content, list | tuple) for block in content]
    if "system" in record or any(isinstance(one, Mapping) and _is_anthropic(one) for one in blocks):
        return "anthropic"
    return "openai"  # whose reader takes the rows of Hugging Face, too


def _is_anthropic(block: Mapping[str, Any]) -> bool:
    return block.get("type") in _ANTHROPIC_BLOCKS or "source" in block


def _foreign(record: Mapping[str, Any], kind: Format) -> SourceConversation:
    turns = [StoredTurn(turn) for turn in import_messages(dict(record), kind, created_at=EPOCH)]
    return rebuilt(record, turns)
