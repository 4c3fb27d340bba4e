"""OpenAI's chat messages, and the `messages` of Hugging Face data sets, which differ in how arguments are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import ImagePart, Interaction, TextPart, ToolCall
from ragtime.services.conversation.formats.reading import as_list, as_mapping, as_text, reading, refuse_unknown

__all__ = ["from_hf", "from_openai", "to_hf", "to_openai"]

_ROLES = {"developer": "system"}  # the newer name of the same
_KNOWN = {"role", "content", "name", "tool_calls", "tool_call_id"}


def to_openai(interactions: Iterable[Interaction]) -> list[dict[str, Any]]:
    """Write turns as OpenAI's chat messages.

    Args:
        interactions: The turns.

    Returns:
        The messages, each with ``role`` and ``content``, and ``tool_calls``, ``tool_call_id``, ``name`` where they are.
    """
    return [_message(interaction, as_objects=False) for interaction in interactions]


def to_hf(interactions: Iterable[Interaction]) -> dict[str, Any]:
    """Write turns as one row of a data set, ``{"messages": […]}``, arguments of tools as objects.

    Args:
        interactions: The turns.

    Returns:
        The row.

    Raises:
        InvalidArgumentError: The arguments of a tool call are no JSON object, which the format cannot express.
    """
    return {"messages": [_message(interaction, as_objects=True) for interaction in interactions]}


def _message(interaction: Interaction, *, as_objects: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": interaction.role, "content": _content(interaction)}
    if interaction.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": arguments_object(call.arguments) if as_objects else call.arguments,
                },
            }
            for call in interaction.tool_calls
        ]
    if interaction.tool_call_id is not None:
        message["tool_call_id"] = interaction.tool_call_id
    if interaction.name is not None:
        message["name"] = interaction.name
    return message


def arguments_object(arguments: str) -> dict[str, Any]:
    """Read the arguments of a tool call as an object.

    Args:
        arguments: The arguments as the model wrote them.

    Returns:
        The object.

    Raises:
        InvalidArgumentError: They are no JSON object.
    """
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidArgumentError("the arguments of a tool call are no JSON object, which this format wants")
    return found


def _content(interaction: Interaction) -> Any:
    if not interaction.parts:
        return interaction.content
    found: list[dict[str, Any]] = []
    for part in interaction.parts:
        if isinstance(part, TextPart):
            found.append({"type": "text", "text": part.text})
        else:
            image: dict[str, Any] = {"url": part.url}
            if part.detail is not None:
                image["detail"] = part.detail
            found.append({"type": "image_url", "image_url": image})
    return found


def from_openai(data: Any, created_at: datetime) -> list[Interaction]:
    """Read OpenAI's chat messages.

    Args:
        data: The messages, or a request or row with ``messages``.
        created_at: The time of all turns, which the format does not tell.

    Returns:
        The turns.

    Raises:
        InvalidArgumentError: A message is wrong, or holds what cannot be kept; names which.
    """
    if isinstance(data, dict):
        data = data.get("messages")
    found = []
    for number, item in enumerate(as_list(data, "messages"), start=1):
        with reading("message", number):
            found.append(_interaction(item, created_at))
    return found


def from_hf(data: Any, created_at: datetime) -> list[Interaction]:
    """Read a row of a Hugging Face data set; as ``from_openai``, which takes arguments as objects, too."""
    return from_openai(data, created_at)


def _interaction(item: Any, created_at: datetime) -> Interaction:
    message = as_mapping(item, "a message")
    refuse_unknown({name: value for name, value in message.items() if value is not None}, _KNOWN)
    role = as_text(message.get("role"), "role")
    content = message.get("content")
    parts: tuple[TextPart | ImagePart, ...] = ()
    if isinstance(content, Sequence) and not isinstance(content, str):
        parts = tuple(_part(part) for part in content)
        content = ""
    return Interaction(
        role=_ROLES.get(role, role),  # type: ignore[arg-type]  # checked by the record
        content=content or "",
        parts=parts,
        tool_calls=tuple(_call(call) for call in as_list(message.get("tool_calls") or [], "tool_calls")),
        tool_call_id=message.get("tool_call_id"),
        name=message.get("name"),
        created_at=created_at,
    )


def _part(item: Any) -> TextPart | ImagePart:
    part = as_mapping(item, "a part of the content")
    kind = part.get("type")
    if kind == "text":
        refuse_unknown(part, {"type", "text"})
        return TextPart(text=as_text(part.get("text"), "text"))
    if kind == "image_url":
        image = as_mapping(part.get("image_url"), "image_url")
        refuse_unknown(part, {"type", "image_url"})
        refuse_unknown(image, {"url", "detail"})
        return ImagePart(url=as_text(image.get("url"), "url"), detail=image.get("detail"))
    raise InvalidArgumentError(f"a part of the content has the type {str(kind)[:50]!r}, which cannot be kept")


def _call(item: Any) -> ToolCall:
    call = as_mapping(item, "a tool call")
    function = as_mapping(call.get("function"), "function")
    refuse_unknown(call, {"id", "type", "function", "index"})
    refuse_unknown(function, {"name", "arguments"})
    arguments = function.get("arguments", "{}")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return ToolCall(id=call.get("id"), name=function.get("name"), arguments=arguments)  # type: ignore[arg-type]
