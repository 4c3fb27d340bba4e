"""What callers give as a source: checked at once, read as often as needed, record by record."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pydantic import BaseModel, ValidationError

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.sources.items import BadRecord
from ragtime.utils.files import parse_json_object

__all__ = [
    "UnusableError",
    "as_path",
    "given_id",
    "made",
    "numbered",
    "read_json_lines",
    "read_json_list",
    "repeatable",
]

T = TypeVar("T", bound=BaseModel)

_NAMED_PATH = 200  # characters; a longer "path" is a text of somebody, and stands in no message
_LONGEST_LINE = 64 * 2**20  # bytes; a file without line breaks must not fill the memory
_TOO_LONG = "line has 64 MiB or more"
_MARKS: Mapping[bytes, str] = {
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard; unpack it",
    b"\xff\xfe": "text in UTF-16; save it in UTF-8",
    b"\xfe\xff": "text in UTF-16; save it in UTF-8",
}
"""How files begin that look like what they are not, what they are, and what to do."""
_LONGEST_MARK = max(map(len, _MARKS))


class UnusableError(ValueError):
    """A record cannot be used; its text is the reason of a ``BadRecord``."""


def as_path(given: object, argument: str, *, suffixes: Iterable[str] = (), folder: bool = False) -> Path | None:
    """Return the path that was given.

    Args:
        given: What the caller gave; a text is always a path.
        argument: Name of the argument, for messages.
        suffixes: Ends of names that a file may have.
        folder: Whether it may be a folder.

    Returns:
        The path; ``None`` when something else was given.

    Raises:
        InvalidArgumentError: There is no such file or folder, it cannot be read, or it is of another kind.
    """
    if isinstance(given, bytes):
        raise InvalidArgumentError(f"{argument}: found bytes; give a path as text, or a list")
    if not isinstance(given, str | os.PathLike):
        return None
    if not os.fspath(given):
        raise InvalidArgumentError(f"{argument}: found an empty path; give a path, or a list")
    path, known = Path(given), tuple(suffixes)
    what = f"a file that ends with {', '.join(known)}" + (", or a folder" if folder else "")
    try:
        is_folder = path.is_dir()
        unusable = None if is_folder else _unusable(path)
    except FileNotFoundError:
        message = f"{argument}: there is no file or folder {_named(path)}; a text is taken as a path: give {what}"
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or "it is no path"
        message = f"{argument}: cannot read {_named(path)} ({told}); give {what}, or a list"
    else:
        if unusable is not None:
            message = f"{argument}: {_named(path)} is {unusable}, and give {what}"
        elif folder if is_folder else path.suffix.lower() in known:
            return path
        else:
            message = f"{argument}: found the {'folder' if is_folder else 'file'} {_named(path)}; expected {what}"
    raise InvalidArgumentError(message)


def _unusable(path: Path) -> str | None:
    """Say what a file is that no reader takes, and what to do; ``None`` for any other."""
    if path.exists() and not path.is_file():  # to open a pipe would wait for whoever writes into it
        return "no regular file, and sources are read more than once; write it to one"
    with path.open("rb") as file:
        start = file.read(_LONGEST_MARK)
    return next((told for mark, told in _MARKS.items() if start.startswith(mark)), None)


def _named(path: Path) -> str:
    text = str(path)
    if len(text) > _NAMED_PATH or not text.isprintable():
        return f"(a text of {len(text)} characters)"
    return repr(text)


def repeatable(given: object, argument: str, expected: str) -> Iterable[Any]:
    """Return what can be read more than once; what an iterator gives is kept in memory.

    Args:
        given: What the caller gave.
        argument: Name of the argument, for messages.
        expected: What is expected, for messages.

    Returns:
        The iterable itself, or a list of what the iterator gave.

    Raises:
        InvalidArgumentError: It is a single object, or nothing that can be iterated over.
    """
    if isinstance(given, Mapping | BaseModel):
        raise InvalidArgumentError(
            f"{argument}: found a single {type(given).__name__}; expected {expected}: put it into a list"
        )
    if not isinstance(given, Iterable):
        raise InvalidArgumentError(f"{argument}: found {type(given).__name__}; expected {expected}")
    return list(given) if isinstance(given, Iterator) else given


def numbered(items: Iterable[object], name: str) -> Iterator[tuple[str, object]]:
    """Yield for each item where it is, such as ``queries, record 3``, and the item."""
    for number, item in enumerate(items, start=1):
        yield f"{name}, record {number}", item


def read_json_lines(path: Path, name: str) -> Iterator[tuple[str, object]]:
    """Read JSON objects, one a line; a line that is none, or of 64 MiB and more, costs no other.

    Args:
        path: The file, in UTF-8.
        name: What it is called in ``BadRecord.where``.

    Yields:
        Where the line is, and its object, or a ``BadRecord``.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_lines(file), start=1):
                where = f"{name}, line {number}"
                if line is None:
                    yield where, BadRecord(_TOO_LONG, where)
                elif line.strip():
                    yield where, _parsed(line, where)
    except OSError:
        yield name, BadRecord("file cannot be read", name)


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines of a file, ``None`` for one that is too long, and never hold more than the longest allowed."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) < _LONGEST_LINE or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_LONGEST_LINE)) and not rest.endswith(b"\n"):
            pass
        yield None


def _parsed(line: bytes, where: str) -> dict[str, Any] | BadRecord:
    try:
        return parse_json_object(line)
    except InvalidArgumentError:
        return BadRecord("line is no JSON object", where)


def read_json_list(path: Path, name: str) -> Iterator[tuple[str, object]]:
    """Read a file that holds a JSON list, or a single object; all of it is in memory meanwhile.

    Args:
        path: The file, in UTF-8.
        name: What it is called in ``BadRecord.where``.

    Yields:
        Where each item is, and the item, or a ``BadRecord`` for a file that is none of both.
    """
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError:
        yield name, BadRecord("file cannot be read", name)
    except (ValueError, RecursionError):
        yield name, BadRecord("file is no JSON", name)
    else:
        yield from numbered(found if isinstance(found, list) else [found], name)


def given_id(row: Mapping[str, Any], *names: str) -> str | None:
    """Return the first id that a record has; a whole number becomes a text.

    Args:
        row: The record.
        *names: Names that the field may have.

    Returns:
        The id; ``None`` when there is none.

    Raises:
        UnusableError: It is neither a text nor a whole number, or blank.
    """
    for name in names:
        found = row.get(name)
        if found is None:
            continue
        if isinstance(found, bool) or not isinstance(found, str | int) or not str(found).strip():
            raise UnusableError(f"{name} is no id")
        return str(found).strip()
    return None


def made(make: Callable[[], T], where: str) -> T | BadRecord:
    """Make a record, or say why that cannot be done.

    Args:
        make: Makes it.
        where: Which it is.

    Returns:
        The record, which can be written as JSON, or a ``BadRecord``.
    """
    try:
        record = make()
        record.model_dump_json()  # refuses lone surrogates, which neither files nor databases can hold
    except UnusableError as error:
        return BadRecord(str(error), where)
    except ValidationError as error:
        return BadRecord(_reason(error), where)
    except (UnicodeError, RecursionError, TypeError, ValueError) as error:
        return BadRecord(f"record cannot be kept ({type(error).__name__})", where)
    return record


def _reason(error: ValidationError) -> str:
    """Name the first wrong field and what is wrong; keys of metadata, which are the caller's, are left out."""
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    message = problem["msg"].removeprefix("Value error, ")
    return f"{problem['loc'][0]}: {message}" if problem["loc"] else message
