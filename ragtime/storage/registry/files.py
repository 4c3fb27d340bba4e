"""The files of a model: which there are, what is in them, and copies that are on disk."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

from ragtime.errors import InvalidArgumentError
from ragtime.storage.registry.records import ModelFile
from ragtime.utils.hashing import content_hash, file_hash

__all__ = ["Stamp", "copy_file", "describe_files", "list_files", "make_folder", "stamp_of", "sync", "version_of"]

Stamp = frozenset[tuple[str, int, int, int, int]]
"""Path, inode, size and both times of each file of a folder."""

_BLOCK = 1 << 20
_READ_ONLY = 0o444  # a slip of the hand stops here; tampering is found by the hashes
_SETTLED_NANOSECONDS = 2_000_000_000


def list_files(folder: Path) -> dict[str, Path]:
    """List the files in a folder and those below it.

    Args:
        folder: The folder.

    Returns:
        The files, by their path in the folder with ``/`` between its parts, in the order of these.

    Raises:
        InvalidArgumentError: There is something that is neither file nor folder, such as a symbolic link.
        OSError: A folder cannot be read.
    """
    found: dict[str, Path] = {}
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                path = Path(entry.path)
                name = path.relative_to(folder).as_posix()
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.is_file(follow_symlinks=False):
                    found[name] = path
                else:
                    raise InvalidArgumentError(
                        f"{name!r} in '{folder}' is a symbolic link or no regular file; the copy that "
                        "'cp -rL' makes of the folder has files only"
                    )
    return dict(sorted(found.items()))


def describe_files(folder: Path) -> dict[str, ModelFile]:
    """Return size and hash of every file in a folder; errors as ``list_files``."""
    return {
        name: ModelFile(bytes=path.stat().st_size, sha256=file_hash(path)) for name, path in list_files(folder).items()
    }


def version_of(files: Mapping[str, ModelFile]) -> str:
    """Return the version that files make: the hash of their names and contents, 64 hexadecimal digits."""
    return content_hash({name: file.sha256 for name, file in files.items()})


def copy_file(source: Path, target: Path) -> ModelFile:
    """Copy a file, wait until the copy is on disk, and tell what was copied.

    Args:
        source: The file.
        target: Its copy, which must not exist; only for reading.

    Returns:
        Size and hash of the copy.

    Raises:
        OSError: It cannot be read or written.
    """
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _READ_ONLY)
    with os.fdopen(descriptor, "wb") as copy, source.open("rb") as original:
        while block := original.read(_BLOCK):
            digest.update(block)
            size += copy.write(block)
        copy.flush()
        os.fsync(descriptor)
    return ModelFile(bytes=size, sha256=digest.hexdigest())


def stamp_of(folder: Path) -> tuple[Stamp, bool]:
    """Return what tells changed files from those that were there before, without reading them.

    Args:
        folder: The folder.

    Returns:
        The stamp, and whether it can be trusted: a file that changed in the last two seconds may change once more
        without its times showing it.

    Raises:
        InvalidArgumentError: As ``list_files``.
        OSError: As ``list_files``.
    """
    found = {name: path.stat() for name, path in list_files(folder).items()}
    stamp = frozenset(
        (name, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns) for name, status in found.items()
    )
    newest = max((max(status.st_mtime_ns, status.st_ctime_ns) for status in found.values()), default=0)
    return stamp, time.time_ns() - newest >= _SETTLED_NANOSECONDS


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each on disk before this returns; OSError when that fails."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def sync(folder: Path) -> None:
    """Wait until the names in a folder are on disk; OSError when that fails."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
