"""JSON files that carry a hash of themselves, so that any change to them is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records.base import Record
from ragtime.storage.registry.errors import TamperedModelError
from ragtime.utils.files import parse_json_object, write_json
from ragtime.utils.hashing import content_hash

__all__ = ["read_sealed", "write_sealed"]

R = TypeVar("R", bound=Record)

_FORMAT = 1


def write_sealed(path: Path, record: Record) -> None:
    """Write a record with its own hash, atomically.

    Args:
        path: The file.
        record: The record.

    Raises:
        StorageError: It cannot be written; what was there before is as it was.
    """
    told = {"format": _FORMAT, **record.model_dump(mode="json")}
    write_json(path, {**told, "digest": content_hash(told)})


def read_sealed(path: Path, model: type[R]) -> R:
    """Read a record that ``write_sealed`` has written.

    Args:
        path: The file.
        model: Class of the record.

    Returns:
        The record.

    Raises:
        TamperedModelError: The file is not what was written.
        StorageError: A later version of ragtime has written it.
        OSError: It cannot be read.
    """
    data = path.read_bytes()
    try:
        found = parse_json_object(data)
    except InvalidArgumentError as error:
        raise TamperedModelError(f"'{path}' is no JSON object: {error}") from None
    if found.pop("digest", None) != content_hash(found):
        raise TamperedModelError(f"'{path}' was changed after it was written")
    version = found.pop("format", None)
    if isinstance(version, int) and version > _FORMAT:
        raise StorageError(f"A later version of ragtime wrote '{path}' (format {version}): update this one")
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise TamperedModelError(f"'{path}' holds something else: {error.error_count()} wrong fields") from None
