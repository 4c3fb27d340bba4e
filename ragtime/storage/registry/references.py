"""Names of models and versions, as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ragtime.errors import InvalidArgumentError, did_you_mean
from ragtime.storage.registry.errors import ModelNotFoundError
from ragtime.storage.registry.records import SHORT

__all__ = ["check_name", "check_reason", "check_version", "find_version", "is_name", "is_version", "split_reference"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{4,64}")
_SHOWN = 100  # characters


def is_name(text: str) -> bool:
    """Tell whether a model may be called so."""
    return _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Tell whether a text has the form of a whole version."""
    return _VERSION.fullmatch(text) is not None


def check_name(name: object) -> str:
    """Return the name of a model; InvalidArgumentError when none may be called so."""
    if not isinstance(name, str) or not is_name(name):
        raise InvalidArgumentError(
            f"No name of a model: {str(name)[:_SHOWN]!r}. Names have 1 to 100 letters, digits, '.', '_' and '-', and "
            "begin and end with a letter or a digit"
        )
    return name


def check_version(version: object) -> str:
    """Return a version or the beginning of one; InvalidArgumentError when it can be neither."""
    if not isinstance(version, str) or not _PREFIX.fullmatch(version):
        raise InvalidArgumentError(
            f"No version: {str(version)[:_SHOWN]!r}. A version has 64 hexadecimal digits, of which the first 4 or more "
            "are enough when no other version shares them"
        )
    return version


def check_reason(reason: object) -> None:
    """Raise InvalidArgumentError when the reason of a change is neither ``None`` nor a text with something in it."""
    if reason is not None and (not isinstance(reason, str) or not reason.strip()):
        raise InvalidArgumentError("reason must be a text that is not blank, or None")


def split_reference(reference: str) -> tuple[str, str | None]:
    """Take ``NAME`` or ``NAME@VERSION`` apart.

    Args:
        reference: The text.

    Returns:
        The name, and the version or its beginning; ``None`` for whatever is in production.

    Raises:
        InvalidArgumentError: It is neither.
    """
    name, at, version = reference.partition("@")
    return check_name(name), check_version(version) if at else None


def find_version(name: str, prefix: str, versions: Iterable[str]) -> str:
    """Find the version that begins so.

    Args:
        name: The model, for the errors.
        prefix: The beginning of the version, or all of it.
        versions: Those that there are.

    Returns:
        The whole version.

    Raises:
        InvalidArgumentError: Several versions begin so.
        ModelNotFoundError: None does.
    """
    known = list(versions)
    found = [version for version in known if version.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidArgumentError(f"{len(found)} versions of {name!r} begin with {prefix}; give more digits")
    shown = [version[:SHORT] for version in known]
    raise ModelNotFoundError(
        f"The model {name!r} has no version {prefix[:SHORT]}{did_you_mean(prefix[:SHORT], shown)}; it has "
        f"{', '.join(shown) or 'none'}"
    )
