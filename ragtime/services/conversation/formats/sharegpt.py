"""ShareGPT's rows, with tools as LLaMA-Factory reads them: ``function_call`` and ``observation``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.formats.openai import arguments_object
from ragtime.services.conversation.formats.reading import as_list, as_mapping, as_text, reading, refuse_unknown

__all__ = ["from_sharegpt", "to_sharegpt"]

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
_ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "observation": "tool",
    "tool": "tool",
}
_KNOWN = {"from", "value", "id", "name", "goes_on"}


def to_sharegpt(interactions: Iterable[Interaction]) -> dict[str, Any]:
    """Write turns as ``{"conversations": [{"from": …, "value": …}]}``.

    A tool call is an entry ``function_call`` whose value is ``{"name", "arguments"}``, its result an ``observation``.
    Entries carry what the format has no word for in further keys, which other readers pass over: ``id`` of a call,
    ``name`` of a speaker, and ``goes_on`` where a call belongs to the turn of the entry before.

    Args:
        interactions: The turns.

    Returns:
        The row.

    Raises:
        InvalidArgumentError: A turn has images, which the format cannot express, or the arguments of a tool call are no
            JSON object.
    """
    entries: list[dict[str, Any]] = []
    for interaction in interactions:
        if interaction.parts:
            raise InvalidArgumentError("ShareGPT has no turns of several parts")
        if interaction.content or not interaction.tool_calls:
            entry: dict[str, Any] = {"from": _SPEAKERS[interaction.role], "value": interaction.content}
            entry |= {"id": interaction.tool_call_id} if interaction.tool_call_id is not None else {}
            entries.append(entry | ({"name": interaction.name} if interaction.name is not None else {}))
        for number, call in enumerate(interaction.tool_calls):
            value = {"name": call.name, "arguments": arguments_object(call.arguments)}
            entry = {"from": "function_call", "value": json.dumps(value, ensure_ascii=False), "id": call.id}
            if interaction.content or number:
                entry["goes_on"] = True
            elif interaction.name is not None:
                entry["name"] = interaction.name
            entries.append(entry)
    return {"conversations": entries}


def from_sharegpt(data: Any, created_at: datetime) -> list[Interaction]:
    """Read a row, or its list of entries.

    Args:
        data: ``{"conversations": […]}``, or the entries alone.
        created_at: The time of all turns, which the format does not tell.

    Returns:
        The turns. Calls without an id get one by their number; results without one answer the calls in their order.

    Raises:
        InvalidArgumentError: An entry is wrong, or holds what cannot be kept; names which.
    """
    entries = as_list(data.get("conversations") if isinstance(data, dict) else data, "conversations")
    turns: list[dict[str, Any]] = []
    waiting: list[str] = []
    for number, item in enumerate(entries, start=1):
        with reading("entry", number):
            entry = as_mapping(item, "an entry")
            refuse_unknown(entry, _KNOWN)
            speaker, value = as_text(entry.get("from"), "from"), as_text(entry.get("value"), "value")
            if speaker == "function_call":
                call = _call(value, entry.get("id") or f"call_{number}")
                waiting.append(call["id"])
                if entry.get("goes_on") and turns and turns[-1]["role"] == "assistant":
                    turns[-1]["tool_calls"].append(call)
                else:
                    turns.append({"role": "assistant", "content": "", "tool_calls": [call], "name": entry.get("name")})
                continue
            role = _ROLES.get(speaker)
            if role is None:
                raise InvalidArgumentError(f"unknown speaker {speaker[:50]!r}; there are {', '.join(_ROLES)}")
            turn: dict[str, Any] = {"role": role, "content": value, "tool_calls": [], "name": entry.get("name")}
            if role == "tool":
                answered = entry.get("id") or (waiting[0] if waiting else None)
                if answered is None:
                    raise InvalidArgumentError("an observation without a function_call before it")
                turn["tool_call_id"] = answered
                waiting = [call for call in waiting if call != answered]
            turns.append(turn)
    found = []
    for number, turn in enumerate(turns, start=1):
        with reading("turn", number):
            found.append(Interaction(created_at=created_at, **{**turn, "tool_calls": tuple(turn["tool_calls"])}))
    return found


def _call(value: str, call_id: Any) -> dict[str, Any]:
    call = arguments_object(value)
    arguments = call.get("arguments", {})
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": call_id, "name": call.get("name"), "arguments": written}
