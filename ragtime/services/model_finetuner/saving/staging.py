"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragtime.errors import InvalidArgumentError, StorageError

__all__ = ["check_free", "staged_folder"]

_TEMPORARY = ".tmp"


def check_free(folder: Path) -> None:
    """Make sure that nothing stands where a folder is to be; InvalidArgumentError when something does."""
    if folder.exists() or folder.is_symlink():
        raise InvalidArgumentError(f"There is something at '{folder}' already: choose another folder, or move it away")


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder beside its place, and move it there when the ``with`` block ends well.

    All files are flushed to disk before the folder gets its name. A failed block leaves nothing behind. What a killed
    process left is removed by the next attempt at the same folder; only one process may write it at a time.

    Args:
        folder: The folder, which must not exist; those above it are made as needed.

    Yields:
        The folder to be filled.

    Raises:
        InvalidArgumentError: There is something in its place.
        StorageError: It cannot be written.
    """
    check_free(folder)
    staged = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        missing = [path for path in folder.parents if not path.exists()]
        folder.parent.mkdir(parents=True, exist_ok=True)
        for path in missing:
            _sync(path.parent)
        for leftover in folder.parent.glob(f".{_literal(folder.name)}.{'[0-9a-f]' * 16}{_TEMPORARY}"):
            shutil.rmtree(leftover)
        staged.mkdir()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    try:
        yield staged
        _publish(staged, folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _publish(staged: Path, folder: Path) -> None:
    try:
        for root, _, names in os.walk(staged):
            for name in names:
                _sync(Path(root, name))
            _sync(Path(root))
        check_free(folder)  # a rename would replace an empty folder
        staged.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _literal(name: str) -> str:
    """Write a name so that a glob pattern finds it and no other."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _cannot_write(folder: Path, error: OSError) -> StorageError:
    return StorageError(f"Cannot write '{folder}': {error.strerror or error}")
