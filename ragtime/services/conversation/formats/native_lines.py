"""The project's own form as JSON Lines, a long conversation in several of them, so that no line need be large.

A conversation that fits one line is one, the object of ``to_native``. A longer one begins with such an object, of
version 2 and with ``"goes_on": true``; each line after it holds further turns::

    {"format": "ragtime.turns", "version": 2, "conversation_id": "c", "after": 500, "goes_on": false, "turns": […]}

``after`` counts the turns in the lines before, and the last line alone has ``"goes_on": false``: a line that is
missing, in the middle or at the end, is found out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import ConversationHead, StoredTurn
from ragtime.services.conversation.formats.native import (
    FORMAT_NAME,
    SPLIT_VERSION,
    WHOLE_VERSION,
    head_to_native,
    read_beginning,
    read_turns,
    turn_to_native,
)
from ragtime.services.conversation.formats.reading import as_text, refuse_unknown

__all__ = ["TURNS_FORMAT_NAME", "NativeLine", "native_lines", "read_native_line"]

TURNS_FORMAT_NAME = "ragtime.turns"
_LINE_TURNS = 500
_LINE_CHARACTERS = 1_000_000  # at most, but for a single turn that is longer
_FIELDS = {"format", "version", "conversation_id", "after", "goes_on", "turns"}


@dataclass(frozen=True, slots=True)
class NativeLine:
    """What one line tells.

    Attributes:
        conversation_id: The conversation.
        head: What is known of it; ``None`` in a line that continues one.
        after: Turns of the conversation in the lines before.
        turns: The turns in this one.
        goes_on: Whether a line with further turns has to follow.
    """

    conversation_id: str
    head: ConversationHead | None
    after: int
    turns: list[StoredTurn]
    goes_on: bool


def native_lines(head: ConversationHead, turns: Iterable[StoredTurn]) -> Iterator[str]:
    """Write a conversation as lines of JSON, holding one of them at a time.

    Args:
        head: What is known of it.
        turns: Its turns of every branch, each after its parent.

    Yields:
        The lines, without line breaks.
    """
    for after, written, goes_on in _pieces(turns):
        if after:
            fields = {"format": TURNS_FORMAT_NAME, "version": SPLIT_VERSION, "conversation_id": head.id, "after": after}
            fields["goes_on"] = goes_on
        elif goes_on:
            fields = {"format": FORMAT_NAME, "version": SPLIT_VERSION, **head_to_native(head), "goes_on": True}
        else:
            fields = {"format": FORMAT_NAME, "version": WHOLE_VERSION, **head_to_native(head)}
        # The turns are JSON already: their length decides where a line ends.
        yield f'{json.dumps(fields, ensure_ascii=False)[:-1]}, "turns": [{", ".join(written)}]}}'


def _pieces(turns: Iterable[StoredTurn]) -> Iterator[tuple[int, list[str], bool]]:
    """Yield the turns of each line as JSON, how many come before them, and whether more follow."""
    after, piece, characters = 0, list[str](), 0
    for turn in turns:
        text = json.dumps(turn_to_native(turn), ensure_ascii=False)
        if piece and (len(piece) == _LINE_TURNS or characters + len(text) > _LINE_CHARACTERS):
            yield after, piece, True
            after, piece, characters = after + len(piece), [], 0
        piece.append(text)
        characters += len(text)
    yield after, piece, False


def read_native_line(data: Mapping[str, Any]) -> NativeLine:
    """Read the object of a line: a conversation, its beginning, or further turns of one.

    Args:
        data: The object.

    Returns:
        What it tells.

    Raises:
        InvalidArgumentError: It is no such object, of a newer version, or a turn is wrong; names which.
    """
    if data.get("format") != TURNS_FORMAT_NAME:
        head, turns, goes_on = read_beginning(data)
        return NativeLine(head.id, head, 0, turns, goes_on)
    version, after, more = data.get("version"), data.get("after"), data.get("goes_on")
    if type(version) is not int or version != SPLIT_VERSION:
        raise InvalidArgumentError(
            f"The turns have version {str(version)[:20]} of the format; this ragtime reads {SPLIT_VERSION}"
        )
    refuse_unknown(data, _FIELDS)
    if type(after) is not int or after < 1 or not isinstance(more, bool):
        raise InvalidArgumentError("after is the number of turns before these, and goes_on true or false")
    name = as_text(data.get("conversation_id"), "conversation_id")
    return NativeLine(name, None, after, read_turns(data.get("turns"), first=after + 1), more)
