"""What all readers of foreign formats share: errors that name the message, and never quote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError

__all__ = ["as_list", "as_mapping", "as_text", "reading", "refuse_unknown"]


@contextmanager
def reading(what: str, number: int | None = None) -> Iterator[None]:
    """Name the message in every error of the ``with`` block.

    Args:
        what: What is read, such as ``message``.
        number: Its number, from 1; ``None`` where there is only one.

    Yields:
        Nothing.

    Raises:
        InvalidArgumentError: The block found something wrong.
    """
    try:
        yield
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in problems)
    except InvalidArgumentError as error:
        told = str(error)
    else:
        return
    raise InvalidArgumentError(f"{what}{'' if number is None else f' {number}'}: {told}")


def as_mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Return an object as it is; raises ``InvalidArgumentError`` for anything else."""
    if not isinstance(value, Mapping):
        raise InvalidArgumentError(f"{what} is an object, found {type(value).__name__}")
    return value


def as_list(value: Any, what: str) -> Sequence[Any]:
    """Return a list as it is; raises ``InvalidArgumentError`` for anything else."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        found = "nothing" if value is None else type(value).__name__
        raise InvalidArgumentError(f"{what} is a list, found {found}")
    return value


def as_text(value: Any, what: str) -> str:
    """Return a text as it is; raises ``InvalidArgumentError`` for anything else."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{what} is a text, found {type(value).__name__}")
    return value


def refuse_unknown(data: Mapping[str, Any], known: set[str]) -> None:
    """Refuse fields that would otherwise be lost without a word."""
    unknown = sorted(str(name)[:50] for name in data if name not in known)
    if unknown:
        raise InvalidArgumentError(f"holds {', '.join(unknown)}, which cannot be kept")
