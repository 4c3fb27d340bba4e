"""What a checkpoint tells about itself, so that any change to it is noticed."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records.base import Record
from ragtime.utils.files import parse_json_object, write_json
from ragtime.utils.hashing import content_hash, file_hash

__all__ = [
    "STATE_NAME",
    "TENSORS_NAME",
    "DamagedCheckpointError",
    "FileEntry",
    "Manifest",
    "check_files",
    "read_json_file",
    "read_manifest",
    "write_manifest",
]

STATE_NAME, TENSORS_NAME = "state.json", "tensors.safetensors"

_NAME = "manifest.json"
_FORMAT = 1
_LOST = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class DamagedCheckpointError(StorageError):
    """The files of a checkpoint are not those that were written."""


class FileEntry(Record):
    """What a file was when it was written.

    Attributes:
        bytes: Its size.
        sha256: Its SHA-256, 64 hexadecimal digits.
    """

    bytes: NonNegativeInt
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileEntry:
        """Describe a file as it is; OSError when it cannot be read."""
        return cls(bytes=path.stat().st_size, sha256=file_hash(path))


class Manifest(Record):
    """What a checkpoint tells about itself.

    Attributes:
        format: Version of the layout.
        step: Optimizer steps taken.
        score: The validation score, higher is better; ``None`` when the step was not validated.
        files: Its other files by name.
    """

    format: int = _FORMAT
    step: NonNegativeInt
    score: float | None
    files: dict[str, FileEntry]

    @property
    def size(self) -> int:
        """Bytes of all files but the manifest."""
        return sum(entry.bytes for entry in self.files.values())


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest with its own hash; StorageError when that fails.

    When this returns, the names of all files in the folder are on disk.
    """
    told = manifest.model_dump(mode="json")
    write_json(folder / _NAME, {**told, "digest": content_hash(told)})


def read_manifest(folder: Path) -> Manifest:
    """Read what a checkpoint tells about itself, without looking at its other files.

    Args:
        folder: The folder.

    Returns:
        The manifest.

    Raises:
        DamagedCheckpointError: There is none, or it is not what was written.
        StorageError: It cannot be read, or was written by a later version of ragtime.
    """
    found = read_json_file(folder / _NAME)
    digest = found.pop("digest", None)
    if digest != content_hash(found):
        raise DamagedCheckpointError(f"'{folder / _NAME}' was changed after it was written")
    if isinstance(found.get("format"), int) and found["format"] > _FORMAT:
        raise StorageError(f"A later version of ragtime wrote '{folder}' (format {found['format']}): update this one")
    try:
        return Manifest.model_validate(found)
    except ValidationError as error:
        raise DamagedCheckpointError(f"'{folder / _NAME}' is no manifest: {error.error_count()} wrong fields") from None


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file of a checkpoint with its manifest.

    Args:
        folder: The folder.
        manifest: Its manifest.

    Raises:
        DamagedCheckpointError: A file is missing, or not what was written; says which.
        StorageError: A file cannot be read.
    """
    for name in (STATE_NAME, TENSORS_NAME):
        path = folder / name
        try:
            same = manifest.files.get(name) == FileEntry.of(path)
        except OSError as error:
            raise _cannot_read(path, error) from error
        if not same:
            raise DamagedCheckpointError(f"'{path}' was changed after it was written: size or SHA-256 differ")


def read_json_file(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: The file.

    Returns:
        The object.

    Raises:
        DamagedCheckpointError: It is not there, or holds something else.
        StorageError: It cannot be read.
    """
    try:
        return parse_json_object(path.read_bytes())
    except OSError as error:
        raise _cannot_read(path, error) from error
    except InvalidArgumentError as error:
        raise DamagedCheckpointError(f"'{path}' is no JSON object: {error}") from None


def _cannot_read(path: Path, error: OSError) -> StorageError:
    damaged = isinstance(error, _LOST) or error.errno == errno.EIO
    return (DamagedCheckpointError if damaged else StorageError)(f"Cannot read '{path}': {error.strerror or error}")
