"""The formats by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Literal

from ragtime.errors import InvalidArgumentError, did_you_mean
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.formats.anthropic import from_anthropic, to_anthropic
from ragtime.services.conversation.formats.openai import from_hf, from_openai, to_hf, to_openai
from ragtime.services.conversation.formats.sharegpt import from_sharegpt, to_sharegpt

__all__ = ["FORMATS", "Format", "export_messages", "import_messages"]

Format = Literal["openai", "anthropic", "sharegpt", "hf"]

FORMATS: dict[str, tuple[Callable[[Iterable[Interaction]], Any], Callable[[Any, datetime], list[Interaction]]]] = {
    "openai": (to_openai, from_openai),
    "anthropic": (to_anthropic, from_anthropic),
    "sharegpt": (to_sharegpt, from_sharegpt),
    "hf": (to_hf, from_hf),
}
"""How each format is written and read, by its name."""


def _known(format: object) -> str:  # noqa: A002 - named as the argument
    if not isinstance(format, str) or format not in FORMATS:
        hint = did_you_mean(format, FORMATS) if isinstance(format, str) else ""
        raise InvalidArgumentError(f"There is no format {str(format)[:50]!r}{hint}; there are {', '.join(FORMATS)}")
    return format


def export_messages(interactions: Iterable[Interaction], format: Format) -> Any:  # noqa: A002 - the word a caller expects
    """Write turns in a format of others.

    Args:
        interactions: The turns, the oldest first.
        format: Name of the format.

    Returns:
        What the format has.

    Raises:
        InvalidArgumentError: There is no such format, or it cannot express a turn.
    """
    return FORMATS[_known(format)][0](interactions)


def import_messages(data: Any, format: Format, *, created_at: datetime) -> list[Interaction]:  # noqa: A002
    """Read turns from a format of others.

    Args:
        data: What the format has.
        format: Name of the format.
        created_at: The time of all turns, which no format tells.

    Returns:
        The turns, the oldest first.

    Raises:
        InvalidArgumentError: There is no such format, or a message is wrong; names which.
    """
    return FORMATS[_known(format)][1](data, created_at)
