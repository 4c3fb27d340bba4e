"""Files that are never half-written, paths that never leave their folder, and JSON Lines with line numbers."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ragtime.errors import InvalidArgumentError, StorageError

__all__ = [
    "atomic_writer",
    "parse_json_object",
    "read_jsonl",
    "remove_file",
    "resolve_inside",
    "write_bytes",
    "write_json",
    "write_text",
]

_TEMPORARY = ".tmp"
_NAME_BYTES = 200  # of 255
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS}


@contextmanager
def atomic_writer(path: str | Path, *, text: bool = True) -> Iterator[IO[Any]]:
    """Write a file beside its place and move it there when the ``with`` block ends well.

    Whatever happens, a crash of the machine included, `path` holds its old content or the new one. Data and name are
    flushed to disk before this returns. A failed block leaves nothing behind; a killed process leaves a hidden ``.tmp``
    file, which nothing reads. Folders are made as needed, an existing file keeps its permissions, a symbolic link its
    place.

    Args:
        path: The file to write.
        text: Whether the block writes text, in UTF-8 with line breaks as given, or bytes.

    Yields:
        The open file.

    Raises:
        StorageError: The file cannot be written: no space, no permission, or the place is a folder or a device.
    """
    target = _target(path)
    temporary = target.with_name(f".{_shortened(target.name)}.{secrets.token_hex(8)}{_TEMPORARY}")
    former = target.stat() if target.exists() else None
    try:
        _make_folders(target.parent)
        # A new file gets what the umask leaves of 0o666, as any; the modules for temporary files would give 0o600.
        mode = 0o666 if former is None else stat.S_IMODE(former.st_mode)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise _cannot_write(path, error) from error
    written = False
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") if text else os.fdopen(descriptor, "wb") as file:
            yield file
            written = True
            file.flush()
            os.fsync(descriptor)
            if former is not None:
                with suppress(PermissionError):  # only root may give a file to somebody else
                    os.fchown(descriptor, former.st_uid, former.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(former.st_mode))
        temporary.replace(target)
    except OSError as error:
        if written or (error.filename is None and error.errno in _DISK_ERRORS):
            raise _cannot_write(path, error) from error
        raise  # the block's own
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    _sync_folder(target.parent)


def _target(path: str | Path) -> Path:
    try:
        target = Path(os.path.realpath(path))  # so that a symbolic link keeps pointing where it points
        special = str(path).endswith(os.sep) or (target.exists() and not target.is_file())
    except (ValueError, OSError) as error:
        raise StorageError(f"Cannot write {str(path)!r}: {getattr(error, 'strerror', None) or error}") from None
    if special:
        raise StorageError(f"Cannot write {str(path)!r}: it is no regular file, but a folder or a device")
    return target


def _shortened(name: str) -> str:
    """Cut a name so that with what is added it stays a legal one: file systems count bytes."""
    return os.fsdecode(os.fsencode(name)[:_NAME_BYTES].decode("utf-8", "ignore").encode())


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it, each on disk before this returns."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written but not read: nothing more can be done for the name
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot_write(path: str | Path, error: OSError) -> StorageError:
    return StorageError(f"Cannot write {str(path)!r}: {error.strerror or error}")


def write_text(path: str | Path, text: str) -> None:
    """Write `text` in UTF-8, line breaks as they are; see ``atomic_writer``.

    Args:
        path: The file to write.
        text: Its new content.

    Raises:
        StorageError: The file cannot be written, or the text holds a lone surrogate, which UTF-8 cannot express.
    """
    try:
        write_bytes(path, text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise StorageError(f"Cannot write {str(path)!r}: a lone surrogate at character {error.start}") from None


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write bytes; see ``atomic_writer``.

    Args:
        path: The file to write.
        data: Its new content.

    Raises:
        StorageError: The file cannot be written.
    """
    with atomic_writer(path, text=False) as file:
        file.write(data)


def remove_file(path: str | Path) -> None:
    """Remove a file, for good: its going is on disk before this returns.

    Args:
        path: The file; one that is not there is no error.

    Raises:
        StorageError: It cannot be removed.
    """
    try:
        Path(path).unlink()
        _sync_folder(Path(path).parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"Cannot remove {str(path)!r}: {error.strerror or error}") from error


def write_json(path: str | Path, value: Any, *, indent: int | None = 2) -> None:
    """Write a JSON value in UTF-8, keys in their own order, with a line break at the end; see ``atomic_writer``.

    Args:
        path: The file to write.
        value: A JSON value.
        indent: Spaces per level; ``None`` means all on one line.

    Raises:
        InvalidArgumentError: The value is no JSON value, or holds a number that is not finite; nothing is written.
        StorageError: The file cannot be written.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"Not a JSON value: {error}") from None
    write_text(path, f"{text}\n")


def read_jsonl(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a file of JSON objects, one a line, without holding it in memory.

    Args:
        path: The file, in UTF-8, with or without a byte order mark; blank lines are passed over.

    Yields:
        The number of the line, from 1, and the object in it.

    Raises:
        StorageError: The file cannot be read, or a line is no JSON object; names file and line, and quotes nothing.
    """
    number = 0
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if text.strip():
                    yield number, _json_object(text)
    except OSError as error:
        raise StorageError(f"Cannot read {str(path)!r}: {error.strerror or error}") from error
    except _BadLineError as error:
        message = f"{path}, line {number}: {error}"
    else:
        return
    raise StorageError(message)  # out here: the error that led to it holds the whole line


def parse_json_object(data: bytes) -> dict[str, Any]:
    """Read one JSON object, strictly: a key that stands twice in an object, ``NaN`` and ``Infinity`` are errors.

    Args:
        data: The object in UTF-8, with or without a byte order mark.

    Returns:
        The object.

    Raises:
        InvalidArgumentError: It is no such object; says where and why, and quotes no value.
    """
    try:
        return _json_object(data.removeprefix(b"\xef\xbb\xbf"), object_pairs_hook=_unique_keys)
    except _BadLineError as error:
        message = str(error)
    raise InvalidArgumentError(message)  # out here: the error that led to it holds the whole text


class _BadLineError(Exception):
    """A line is no JSON object."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _BadLineError(f"holds the key {next(key for key in keys if keys.count(key) > 1)[:100]!r} twice")
    return found


def _refuse_constant(name: str) -> None:
    raise _BadLineError(f"holds {name}, which is no JSON")


def _json_object(line: bytes, **options: Any) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8").rstrip(), parse_constant=_refuse_constant, **options)
    except UnicodeDecodeError:
        raise _BadLineError("not UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise _BadLineError(f"not JSON, at {where}") from None
    except ValueError:  # a number of thousands of digits
        raise _BadLineError("holds a number that is too long") from None
    except RecursionError:
        raise _BadLineError("nested too deeply") from None
    if not isinstance(value, dict):
        raise _BadLineError(f"expected an object, found {type(value).__name__}")
    return value


def resolve_inside(root: str | Path, name: str) -> Path:
    """Return the path of something in a folder, given a name that may come from data.

    Args:
        root: The folder.
        name: A relative path with ``/`` between its parts.

    Returns:
        The path, symbolic links resolved; it need not exist.

    Raises:
        InvalidArgumentError: The name is empty or absolute, holds ``..``, a backslash, a colon or a control character,
            or a symbolic link leads out of the folder.
    """
    parts = name.split("/")
    if (
        any(part in {"", ".", ".."} or part != part.strip() for part in parts)
        or any(character in name for character in "\\:")
        or not name.isprintable()
    ):
        raise InvalidArgumentError(f"Not a name inside a folder: {name[:100]!r}")
    base = Path(os.path.realpath(root))
    path = Path(os.path.realpath(base.joinpath(*parts)))
    if not path.is_relative_to(base):
        raise InvalidArgumentError(f"{name!r} leads out of its folder")
    return path
