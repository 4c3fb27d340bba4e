"""What the filters check their arguments with; no error quotes a value."""

from __future__ import annotations

import html
import re

__all__ = ["as_text", "as_whole_number", "without_tags", "wrong_type"]

_TAG = re.compile(r"<[^<>]*>")


def as_text(value: object) -> str:
    """Return a text as it is; raises ``TypeError`` for anything else."""
    if not isinstance(value, str):
        raise wrong_type(value, "text")
    return value


def without_tags(value: object) -> str:
    """Return the text without tags when it is HTML, so that cutting it cannot leave half a tag."""
    text = as_text(value)
    return html.unescape(_TAG.sub("", str(text))) if hasattr(text, "__html__") else text


def as_whole_number(value: object) -> int:
    """Return a whole number as it is; raises ``TypeError`` for anything else, a boolean included."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, "a whole number")
    return value


def wrong_type(value: object, expected: str) -> TypeError:
    """Build the error of a value that is not what a filter takes; tells its type alone."""
    from jinja2 import Undefined  # noqa: PLC0415 - imported by whoever can have one

    if isinstance(value, Undefined):
        str(value)  # a strict one raises the engine's own error, which names the variable
    return TypeError(f"Expected {expected}, found {type(value).__name__}")
