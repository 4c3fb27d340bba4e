"""Anthropic's messages: the system's text apart, tool calls and their results as blocks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import ImagePart, Interaction, TextPart
from ragtime.services.conversation.formats.openai import arguments_object
from ragtime.services.conversation.formats.reading import as_list, as_mapping, as_text, reading, refuse_unknown

__all__ = ["from_anthropic", "to_anthropic"]

_KNOWN = {
    "text": {"type", "text"},
    "image": {"type", "source"},
    "tool_use": {"type", "id", "name", "input"},
    "tool_result": {"type", "tool_use_id", "content", "is_error"},
}


def to_anthropic(interactions: Iterable[Interaction]) -> dict[str, Any]:
    """Write turns as ``{"system": […], "messages": […]}``.

    Results of tools that follow each other stand in one message of the user, as the format wants it. It has no names.

    Args:
        interactions: The turns; those of the system have to come first.

    Returns:
        The request's two fields; ``system`` is left out when there is none.

    Raises:
        InvalidArgumentError: A turn of the system comes later, or the arguments of a tool call are no JSON object.
    """
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    former = ""
    for interaction in interactions:
        if interaction.role == "system":
            if messages:
                raise InvalidArgumentError("This format has turns of the system at the beginning only")
            if any(isinstance(part, ImagePart) for part in interaction.parts):
                raise InvalidArgumentError("This format has no images in turns of the system")
            system.append({"type": "text", "text": interaction.content})
        elif interaction.role == "tool":
            block: dict[str, Any] = {
                "type": "tool_result",
                "tool_use_id": interaction.tool_call_id,
                "content": _blocks(interaction) if interaction.parts else interaction.content,
            }
            if interaction.metadata.get("is_error"):
                block["is_error"] = True
            if former == "tool":
                messages[-1]["content"].append(block)
            else:
                messages.append({"role": "user", "content": [block]})
        else:
            messages.append({"role": interaction.role, "content": _blocks(interaction)})
        former = interaction.role
    return {"system": system, "messages": messages} if system else {"messages": messages}


def _blocks(interaction: Interaction) -> list[dict[str, Any]]:
    parts = interaction.parts or ((TextPart(text=interaction.content),) if interaction.content else ())
    blocks: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, TextPart):
            blocks.append({"type": "text", "text": part.text})
        else:
            blocks.append({"type": "image", "source": {"type": "url", "url": part.url}})
    for call in interaction.tool_calls:
        tool = {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments_object(call.arguments)}
        blocks.append(tool)
    return blocks


def from_anthropic(data: Any, created_at: datetime) -> list[Interaction]:
    """Read a request or a list of messages.

    Args:
        data: ``{"system": …, "messages": […]}``, or the messages alone.
        created_at: The time of all turns, which the format does not tell.

    Returns:
        The turns; each result of a tool is one of its own.

    Raises:
        InvalidArgumentError: A message is wrong, or holds what cannot be kept; names which.
    """
    messages = data.get("messages") if isinstance(data, dict) else data
    system = data.get("system") if isinstance(data, dict) else None
    found: list[Interaction] = []
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else as_list(system or [], "system")
    for block in blocks:
        with reading("system", len(found) + 1):
            text = _text(_checked(block))
            found.append(Interaction(role="system", content=text, created_at=created_at))
    for number, item in enumerate(as_list(messages, "messages"), start=1):
        with reading("message", number):
            found.extend(_turns(item, created_at))
    return found


def _checked(item: Any) -> dict[str, Any]:
    block = dict(as_mapping(item, "a block"))
    kind = str(block.get("type"))
    if kind not in _KNOWN:
        raise InvalidArgumentError(f"a block has the type {kind[:50]!r}, which cannot be kept")
    refuse_unknown({name: value for name, value in block.items() if value is not None}, _KNOWN[kind])
    return block


def _text(block: dict[str, Any]) -> str:
    return as_text(block.get("text"), "text")


def _turns(item: Any, created_at: datetime) -> list[Interaction]:
    message = as_mapping(item, "a message")
    refuse_unknown(message, {"role", "content"})
    role = as_text(message.get("role"), "role")
    content = message.get("content")
    if isinstance(content, str):
        return [Interaction(role=role, content=content, created_at=created_at)]  # type: ignore[arg-type]
    blocks = [_checked(block) for block in as_list(content, "content")]
    found = [_result(block, created_at) for block in blocks if block["type"] == "tool_result"]
    parts = _parts([block for block in blocks if block["type"] in {"text", "image"}])
    calls = [
        {"id": block.get("id"), "name": block.get("name"), "arguments": _written(block)}
        for block in blocks
        if block["type"] == "tool_use"
    ]
    if parts or calls or not found:
        found.append(_said(role, parts, created_at, tool_calls=calls))
    return found


def _written(block: dict[str, Any]) -> str:
    return json.dumps(dict(as_mapping(block.get("input"), "input")), ensure_ascii=False)


def _parts(blocks: list[dict[str, Any]]) -> list[TextPart | ImagePart]:
    found: list[TextPart | ImagePart] = []
    for block in blocks:
        if block["type"] == "text":
            found.append(TextPart(text=_text(block)))
            continue
        source = as_mapping(block.get("source"), "source")
        if source.get("type") != "url":
            raise InvalidArgumentError("an image is kept by reference: store it elsewhere, and give its address")
        found.append(ImagePart(url=as_text(source.get("url"), "url")))
    return found


def _said(role: str, parts: list[TextPart | ImagePart], created_at: datetime, **fields: Any) -> Interaction:
    """Make a turn of its parts; a single text is mere content."""
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return Interaction(role=role, content=parts[0].text, created_at=created_at, **fields)  # type: ignore[arg-type]
    return Interaction(role=role, parts=tuple(parts), created_at=created_at, **fields)  # type: ignore[arg-type]


def _result(block: dict[str, Any], created_at: datetime) -> Interaction:
    content = block.get("content") or ""
    parts = [] if isinstance(content, str) else _parts([_checked(inner) for inner in as_list(content, "content")])
    fields: dict[str, Any] = {"tool_call_id": block.get("tool_use_id")}
    if block.get("is_error"):
        fields["metadata"] = {"is_error": True}
    if isinstance(content, str):
        return Interaction(role="tool", content=content, created_at=created_at, **fields)
    return _said("tool", parts, created_at, **fields)
