"""The simple syntax: ``{name}`` is replaced, once, and nothing else is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ragtime.errors import RenderLimitError, TemplateSyntaxError

__all__ = ["MAX_SOURCE_CHARACTERS", "SimpleTemplate", "expand_partials"]

MAX_SOURCE_CHARACTERS = 1_000_000
"""Longest template, partials included."""

_DEEPEST = 50
_SLOT = re.compile(r"\{\{(?P<literal>[^\W\d]\w*)\}\}|\{(?P<name>[^\W\d]\w*)\}")


class SimpleTemplate:
    """A text with slots.

    ``{name}`` is a slot, where the name is an identifier; ``{{name}}`` gives the literal ``{name}``; every other brace
    stays as it is, so that JSON, LaTeX and code need no escaping. There are no attributes, no indices, no conversions
    and no format specifications. What is filled in is never read again.

        >>> SimpleTemplate('{"greet": "{who}", "as": {{who}}}').render({"who": "{x}"})
        '{"greet": "{x}", "as": {who}}'

    Attributes:
        names: The names of the slots, each with the line of its first use, from 1.
    """

    __slots__ = ("_parts", "_slots", "names")

    def __init__(self, text: str) -> None:
        """Scan `text` once, from left to right."""
        parts: list[str] = []
        slots: list[tuple[int, str]] = []
        self.names: dict[str, int] = {}
        end = 0
        for found in _SLOT.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            name = found["name"]
            if name is None:
                parts.append(f"{{{found['literal']}}}")
                continue
            slots.append((len(parts), name))
            parts.append("")
            self.names.setdefault(name, text.count("\n", 0, found.start()) + 1)
        parts.append(text[end:])
        self._parts = parts
        self._slots = tuple(slots)

    def render(self, values: Mapping[str, Any], max_characters: int | None = None) -> str:
        """Fill the slots.

        Args:
            values: A text or number for every slot; further ones are not looked at.
            max_characters: Longest result; ``None`` means any length.

        Returns:
            The text.

        Raises:
            KeyError: A slot has no value.
            RenderLimitError: The result would be too long.
        """
        parts = self._parts.copy()
        for index, name in self._slots:
            value = values[name]
            parts[index] = value if type(value) is str else _text(value)
        if max_characters is not None and sum(map(len, parts)) > max_characters:
            raise RenderLimitError(
                f"stopped: more than {max_characters:,} characters (templates.max_output_characters)"
            )
        return "".join(parts)


def expand_partials(text: str, partials: Mapping[str, str]) -> str:
    """Put partials in the place of the slots that name them.

    Args:
        text: A template.
        partials: Templates, by name; they may name further ones.

    Returns:
        The template with all slots left that are variables.

    Raises:
        TemplateSyntaxError: A partial names itself, be it through others; or all of them together are too long.
    """
    room = [MAX_SOURCE_CHARACTERS]
    return _expand(text, partials, (), room)


def _expand(text: str, partials: Mapping[str, str], path: tuple[str, ...], room: list[int]) -> str:
    room[0] -= len(text)
    if room[0] < 0 or len(path) > _DEEPEST:
        raise TemplateSyntaxError(
            f"Partials nested deeper than {_DEEPEST}, or longer than {MAX_SOURCE_CHARACTERS:,} characters together"
        )

    def fill(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None or name not in partials:
            return found[0]
        if name in path:
            raise TemplateSyntaxError(f"Partials name each other in a circle: {' → '.join([*path, name])}")
        return _expand(partials[name], partials, (*path, name), room)

    return _SLOT.sub(fill, text)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
