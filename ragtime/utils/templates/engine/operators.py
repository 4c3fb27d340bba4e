"""The operators that can make much of little, with a look at the size of their result before it is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from ragtime.errors import RenderLimitError
from ragtime.utils.templates.engine.limits import current

__all__ = ["ITEM", "OPERATORS", "check_format"]

ITEM = 8
"""What an item of a list counts, in characters."""

_MAX_BITS = 4096  # of an integer that is made by multiplying or raising
_MAX_WIDTH = 1000
_SPEC = re.compile(r"[-+ #0]*(?P<width>\*|\d*)(?:\.(?P<precision>\*|\d*))?")


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, Sized) and isinstance(right, Sized):
        size = len(left) + len(right)
        current.get().make(size if isinstance(left, str) else size * ITEM)
    return left + right


def _multiply(left: Any, right: Any) -> Any:
    if type(right) is not int:
        left, right = right, left
    if type(right) is int:
        if isinstance(left, Sized):
            size = len(left) * max(right, 0)
            current.get().amplify(size if isinstance(left, str) else size * ITEM, "repeating by *")
        elif type(left) is int:
            _check_bits(left.bit_length() + right.bit_length())
    return left * right


def _raise_to(left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int and right > 0:
        _check_bits(left.bit_length() * right)
    return left**right


def _modulo(left: Any, right: Any) -> Any:
    if not isinstance(left, str):
        return left % right
    values = right.values() if isinstance(right, dict) else right if isinstance(right, tuple) else (right,)
    check_format(left, values)
    found = left % right
    current.get().make(len(found))
    return found


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise RenderLimitError(f"a number of more than {_MAX_BITS:,} bits")


def check_format(text: str, values: Iterable[Any]) -> None:
    """Refuse a ``%`` format that would make much text of little.

    Args:
        text: The format.
        values: What it is filled with.

    Raises:
        RenderLimitError: A width or precision is above 1,000, or taken from the values; or a long value stands in it
            many times.
    """
    marks = 0
    for found in _specifications(text):
        marks += 1
        for number in (found["width"], found["precision"]):
            if number and (number == "*" or len(number) > len(str(_MAX_WIDTH)) or int(number) > _MAX_WIDTH):
                raise RenderLimitError(f"a format wider than {_MAX_WIDTH:,} characters")
    rendering = current.get()
    longest = 0
    for value in values:
        rendering.weigh(value, 1)
        longest = max(longest, len(value) if isinstance(value, Sized) else 0)
    rendering.amplify(max(0, marks - 1) * longest, "a format")


def _specifications(text: str) -> Iterator[re.Match[str]]:
    """Yield flags, width and precision of each mark, read as Python reads them."""
    place = text.find("%")
    while place >= 0:
        place += 1
        if text[place : place + 1] == "(":  # a key, in which parentheses may stand in pairs
            depth = 0
            while place < len(text):
                depth += {"(": 1, ")": -1}.get(text[place], 0)
                place += 1
                if not depth:
                    break
        found = _SPEC.match(text, place)
        if found is not None:
            yield found
            place = found.end() + 1  # the letter, which is a second % in %%
        place = text.find("%", place)


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"+": _add, "*": _multiply, "**": _raise_to, "%": _modulo}
"""By the sign that a template writes."""
