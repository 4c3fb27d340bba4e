"""What the local model server can do wrong, and what it has received."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from ragtime.errors import InvalidArgumentError, did_you_mean

__all__ = ["Fault", "FaultKind", "ReceivedRequest", "as_fault"]

FaultKind: TypeAlias = Literal[
    "stall",
    "stall_mid_body",
    "drip",
    "truncate",
    "html",
    "broken_json",
    "wrong_shape",
    "close",
    "status",
    "empty",
    "wrong_dimension",
    "wrong_count",
    "wrong_order",
    "nan",
]
"""What goes wrong: nothing or only half an answer is sent until the server ends; one byte a second; the body is
cut off; the body is a page, broken JSON or JSON of another shape; the connection is closed without an answer; another
HTTP status; no text; vectors that are one number too long, one too few, listed backwards (each with its right index),
or NaN."""


@dataclass(frozen=True)
class Fault:
    """One fault, for one request.

    Attributes:
        kind: What goes wrong.
        status: The HTTP status of the kind ``status``.
        retry_after: Its header ``Retry-After``; ``None`` sends none.
        error: Its body below ``error``, such as ``{"code": "model_not_found"}``.
        seconds: The pause between two bytes of the kind ``drip``, and the length of ``stall``, in seconds; ``None``
            means one second for the first, and until the server ends for the other.
        fields: Limits the fault to requests whose body has all of these fields; none: to any.
    """

    kind: FaultKind
    status: int = 500
    retry_after: str | None = None
    error: Mapping[str, object] = field(default_factory=dict)
    seconds: float | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the server got.

    Attributes:
        method: The HTTP method.
        path: The path, such as ``/v1/chat/completions``.
        headers: The headers, names in lower case.
        body: The parsed JSON body; ``None`` without one.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def as_fault(given: Fault | FaultKind) -> Fault:
    """Return a fault for its kind.

    Args:
        given: A fault, or only its kind.

    Returns:
        The fault.

    Raises:
        InvalidArgumentError: There is no such kind.
    """
    if isinstance(given, Fault):
        kind: str = given.kind
    else:
        kind, given = given, Fault(given)
    if kind not in get_args(FaultKind):
        raise InvalidArgumentError(f"There is no fault {kind!r}{did_you_mean(kind, get_args(FaultKind))}")
    return given
