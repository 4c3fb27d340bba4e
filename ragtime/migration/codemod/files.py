"""The files of a migration: which there are, and their texts, byte for byte."""

from __future__ import annotations

import os
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from ragtime.errors import InvalidArgumentError

__all__ = ["TextFile", "UnreadableFileError", "find_files", "read_file"]

_SUFFIXES = frozenset({".ipynb", ".py", ".pyi", ".pyw"})
_LEFT_OUT = frozenset({"__pycache__", "__pypackages__", "node_modules", "site-packages"})


class UnreadableFileError(Exception):
    """A file cannot be read as text."""


@dataclass(frozen=True)
class TextFile:
    """A file that was read.

    Attributes:
        path: Where it is.
        text: Its text, line breaks as they are, without a byte order mark.
        encoding: How it is encoded; ``utf-8-sig`` has a byte order mark.
    """

    path: Path
    text: str
    encoding: str

    @property
    def is_notebook(self) -> bool:
        """Whether it is a notebook."""
        return self.path.suffix == ".ipynb"


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """Find the Python files and notebooks of paths.

    Folders that are hidden, hold a virtual environment or installed packages, and symbolic links in folders are passed
    over; a path that is given itself never is.

    Args:
        paths: Files and folders.

    Returns:
        The files, each once, in the order of their paths.

    Raises:
        InvalidArgumentError: A path does not exist, or there is no file at all.
    """
    found: dict[str, Path] = {}
    for given in map(Path, paths):
        if not given.exists():
            raise InvalidArgumentError(f"There is no file or folder {str(given)!r}")
        for path in _walk(given) if given.is_dir() else [given]:
            found.setdefault(os.path.realpath(path), path)
    if not found:
        raise InvalidArgumentError("There is no Python file or notebook in what was given; name files or folders")
    return sorted(found.values())


def _walk(top: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if not _is_left_out(Path(folder, name))]
        for name in names:
            path = Path(folder, name)
            if path.suffix in _SUFFIXES and not name.startswith(".") and not path.is_symlink() and path.is_file():
                yield path


def _is_left_out(folder: Path) -> bool:
    return folder.name.startswith(".") or folder.name in _LEFT_OUT or (folder / "pyvenv.cfg").exists()


def read_file(path: Path) -> TextFile:
    """Read a file.

    Args:
        path: A Python file, in the encoding that it declares, or a notebook, in UTF-8.

    Returns:
        Its text.

    Raises:
        UnreadableFileError: It cannot be read, or is not in the encoding that it declares.
    """
    try:
        data = path.read_bytes()
        declared = tokenize.detect_encoding(BytesIO(data).readline)[0] if path.suffix != ".ipynb" else "utf-8"
        text = data.decode(declared)
        exact = text.encode(declared) == data
    except OSError as error:
        raise UnreadableFileError(f"cannot be read: {error.strerror or error}") from None
    except (SyntaxError, LookupError) as error:  # a declaration that names no encoding
        raise UnreadableFileError(f"cannot be read: {error}") from None
    except UnicodeError as error:
        place = f", from byte {error.start} on" if isinstance(error, UnicodeDecodeError) else ""
        raise UnreadableFileError(f"cannot be read: it is not {declared}{place}") from None
    if not exact:
        raise UnreadableFileError(f"would not stay the same byte for byte in its encoding {declared}")
    return TextFile(path, text, declared)
