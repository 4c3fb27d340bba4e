"""Numbers of numpy and pandas as Python's own: files and results of the old modules are JSON, which takes no others."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TypeVar, cast

__all__ = ["plain_number"]

_T = TypeVar("_T")


def plain_number(value: _T) -> _T:
    """Return a number as one of Python's own.

    Args:
        value: A number of any package, or anything else.

    Returns:
        An ``int`` or a ``float`` of the same value; what is no number, or one of Python's own already, as it is.
    """
    if isinstance(value, int) or not isinstance(value, Real):
        return value
    return cast("_T", int(value) if isinstance(value, Integral) else float(value))
