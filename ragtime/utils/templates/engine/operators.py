"""The operators that can make much of little, with a look at the size of their result before it is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from typing import Any

from ragtime.errors import RenderLimitError
from ragtime.utils.templates.engine.limits import current

__all__ = ["OPERATORS", "check_format"]

_MAX_BITS = 4096  # of an integer that is made by multiplying or raising
_MAX_WIDTH = 1000
_MARK = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?")


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, Sized) and isinstance(right, Sized):
        current.get().check_size(len(left) + len(right), "adding by +")
    return left + right


def _multiply(left: Any, right: Any) -> Any:
    if type(right) is not int:
        left, right = right, left
    if type(right) is int:
        if isinstance(left, Sized):
            current.get().check_size(len(left) * max(right, 0), "repeating by *")
        elif type(left) is int:
            _check_bits(left.bit_length() + right.bit_length())
    return left * right


def _raise_to(left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int and right > 0:
        _check_bits(left.bit_length() * right)
    return left**right


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, str):
        check_format(left)
    return left % right


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise RenderLimitError(f"a number of more than {_MAX_BITS:,} bits")


def check_format(text: str) -> None:
    """Refuse widths in a ``%`` format that would make much text.

    Args:
        text: The format.

    Raises:
        RenderLimitError: A width or precision is above 1,000, or taken from the values.
    """
    for found in _MARK.finditer(text):
        for number in (found["width"], found["precision"]):
            if number and (number == "*" or len(number) > len(str(_MAX_WIDTH)) or int(number) > _MAX_WIDTH):
                raise RenderLimitError(f"a format wider than {_MAX_WIDTH:,} characters")


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"+": _add, "*": _multiply, "**": _raise_to, "%": _modulo}
"""By the sign that a template writes."""
