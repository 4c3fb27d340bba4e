"""What is shown of a conversation: turns, times and excerpts, in which nothing poses as anything else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ragtime.cli.output import CONTROL_ESCAPES, print_line

if TYPE_CHECKING:
    from ragtime.records.conversation import Interaction

__all__ = ["excerpt", "one_line", "page_turn", "print_turn", "told_time"]

_EXCERPT = 200  # characters of a turn in a table


def told_time(time: datetime) -> str:
    """Return a time to the second."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def one_line(text: str) -> str:
    """Return a text in which nothing moves the cursor."""
    return text.translate(CONTROL_ESCAPES)


def excerpt(content: str) -> str:
    """Return the beginning of what was said, in one line."""
    text = " ".join(content[: 2 * _EXCERPT].split())
    return text if len(content) <= _EXCERPT else f"{text[:_EXCERPT]}…"


def page_turn(turn: Interaction) -> Mapping[str, Any]:
    """Return a turn as the page of a conversation takes it."""
    fields = turn.model_dump()
    return {**fields, "ratings": fields["feedback"]}  # by this name the page reckons their mean


def print_turn(turn: Interaction) -> None:
    """Print all of a turn on standard output."""
    name = f" ({turn.name})" if turn.name is not None else ""
    _print([f"{turn.role}{name}, {told_time(turn.created_at)}, {turn.id}"])
    if turn.content:  # further in than what we say about it, so that it cannot pose as that
        _print([line.expandtabs(4) for line in turn.content.replace("\r\n", "\n").split("\n")], indent=4)
    _print(list(_facts(turn)), indent=2)


def _facts(turn: Interaction) -> Iterator[str]:
    for part in turn.parts:
        if part.type == "image":
            yield f"image: {part.url}"
    for call in turn.tool_calls:
        yield f"calls {call.name}, {call.id}: {call.arguments}"
    if turn.tool_call_id is not None:
        yield f"answers the call {turn.tool_call_id}"
    if turn.document_ids:
        yield f"documents: {', '.join(turn.document_ids)}"
    for rating in turn.feedback:
        by = f" by {rating.by}" if rating.by is not None else ""
        yield f"rated {rating.stars:g} of 5{by}{f': {rating.comment}' if rating.comment else ''}"


def _print(lines: Sequence[str], *, indent: int = 0) -> None:
    """Print lines, wrapped on a terminal; nothing in them is markup or moves the cursor."""
    told = [one_line(line) for line in lines]
    if sys.stdout is not None and sys.stdout.isatty():
        if told:
            text = Text("\n".join(told), style="" if indent else "bold", overflow="fold")
            Console(highlight=False).print(Padding(text, (0, 0, 0, indent), expand=False))
        return
    for line in told:
        print_line(f"{'':{indent}}{line}")
