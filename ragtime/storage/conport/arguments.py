"""What every decision log asks of its arguments, so that all of them refuse the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError
from ragtime.records.base import Record
from ragtime.records.decisions import ItemRef, ProgressStatus
from ragtime.utils.hashing import canonical_json

__all__ = ["check_change", "check_data", "check_limit", "check_status", "check_tags", "made"]

R = TypeVar("R", bound=Record)


def made(model: type[R], **fields: Any) -> R:
    """Make a record of a caller's arguments.

    Args:
        model: The record.
        **fields: Its fields.

    Returns:
        The record.

    Raises:
        InvalidArgumentError: A field is wrong; names the fields, and quotes no value.
    """
    broken = [name for name, value in fields.items() if isinstance(value, str) and not _is_unicode(value)]
    if broken:
        raise InvalidArgumentError(f"{', '.join(broken)} must not hold lone surrogates, which UTF-8 cannot express")
    try:
        record = model(**fields)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        )
    else:
        return record
    raise InvalidArgumentError(f"Not a {model.__name__}: {problems}")  # out here: the error holds the values


def check_status(status: str) -> None:
    """Refuse a status that is none of ``ProgressStatus``."""
    if status not in get_args(ProgressStatus):
        raise InvalidArgumentError(f"status must be one of {', '.join(get_args(ProgressStatus))}; found {status!r}")


def check_change(entry: ItemRef, status: ProgressStatus | None, description: str | None) -> None:
    """Refuse a change of what is no progress entry, one that changes nothing, and a blank description."""
    if entry.kind != "progress_entry":
        raise InvalidArgumentError(f"Only what log_progress returned can be updated; found a {entry.kind}")
    if status is None and description is None:
        raise InvalidArgumentError("Nothing to update; give status, description, or both")
    if status is not None:
        check_status(status)
    if description is not None and (not description.strip() or not _is_unicode(description)):
        raise InvalidArgumentError("description must not be blank, nor hold lone surrogates")


def check_data(category: str, value: object) -> None:
    """Refuse a category that would make ``category:key`` ambiguous, and what is no JSON value."""
    if ":" in category:
        raise InvalidArgumentError(f"A category must not hold a colon: {category[:100]!r}")
    if not _is_unicode(canonical_json(value)):
        raise InvalidArgumentError("A value must not hold lone surrogates, which UTF-8 cannot express")


def check_tags(tags: Sequence[object]) -> None:
    """Refuse one text in place of several, and tags that are no single line of text."""
    if isinstance(tags, str) or not all(isinstance(tag, str) and tag.strip() and tag.isprintable() for tag in tags):
        raise InvalidArgumentError("tags must be a list of texts, each one line and not blank")


def check_limit(limit: int | None) -> None:
    """Refuse a limit that is not positive."""
    if limit is not None and limit < 1:
        raise InvalidArgumentError(f"limit must be positive, found {limit}")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
