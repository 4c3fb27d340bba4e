"""Page files: found in folders, one over the other, that no name can leave."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from ragtime.errors import InvalidArgumentError, TemplateError, TemplateNotFoundError, TemplateSyntaxError, did_you_mean
from ragtime.monitoring.logging import get_logger
from ragtime.utils.files import resolve_inside
from ragtime.utils.templates.engine.engine import Source
from ragtime.utils.templates.file_stamps import DEVICE_NAMES, is_racy, stamp_of

__all__ = ["MAX_PAGE_BYTES", "PageFiles", "check_page_name"]

MAX_PAGE_BYTES = 1_000_000
"""Largest page file that is read, in bytes."""

_log = get_logger(__name__)
_LONGEST_NAME = 200
_SUFFIXES = (".html", ".htm")


def check_page_name(name: str) -> str:
    """Return `name` when a page may be called so.

    Args:
        name: A relative path with ``/`` between its parts, such as ``mail/welcome.html``.

    Returns:
        The name.

    Raises:
        InvalidArgumentError: It could lead out of its folder, or is no name on some file systems.
    """
    parts = name.split("/")
    if (
        len(name) > _LONGEST_NAME
        or not name.endswith(_SUFFIXES)
        or any(sign in name for sign in '\\:%~*?"<>|')
        or any(part.startswith(".") or part.endswith((".", " ")) for part in parts)
        or any(part.partition(".")[0].lower() in DEVICE_NAMES or part != part.strip() for part in parts)
        or not name.isprintable()
    ):
        raise InvalidArgumentError(
            f"Not the name of a page: {name[:100]!r}; it is a relative path of plain names that ends in .html"
        )
    return name


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What was read from a file, and how to see that it is still the same."""

    source: Source
    path: Path
    stamp: tuple[int, ...]
    racy: bool
    digest: str


class PageFiles:
    """The pages of several folders."""

    def __init__(self, roots: Sequence[Path], *, check: Callable[[Source], object], auto_reload: bool) -> None:
        """Read nothing yet.

        Args:
            roots: The folders, the strongest first.
            check: Raises ``TemplateError`` for a changed source that cannot be used; the former one is then kept.
            auto_reload: Whether changed files are noticed at each use.
        """
        self.roots = tuple(roots)
        self._check = check
        self._auto_reload = auto_reload
        self._loaded: dict[str, _Loaded] = {}
        self._told: dict[str, str] = {}  # why a page in use is kept as it was
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """Return the names of all pages, sorted."""
        found: set[str] = set()
        for root in self.roots:
            base = Path(os.path.realpath(root))
            for folder, folders, files in os.walk(base):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for file in files:
                    name = Path(folder, file).relative_to(base).as_posix()
                    if file.endswith(_SUFFIXES) and _can_be_served(root, name):
                        found.add(name)
        return sorted(found)

    def source(self, name: str) -> Source:
        """Return the source of a page, as it was when it was read first or by the last ``reload``.

        Args:
            name: Name of the page.

        Returns:
            The source.

        Raises:
            TemplateNotFoundError: There is no such page; names the nearest.
            TemplateSyntaxError: It cannot be read, is too large, or not in UTF-8.
            InvalidArgumentError: It is no name of a page, or leads out of its folder.
        """
        known = self._loaded.get(name)
        return known.source if known is not None and not self._auto_reload else self._load(name).source

    def file(self, name: str) -> Path:
        """Return the file of a page; raises as ``source``."""
        self.source(name)
        return self._loaded[name].path

    def reload(self) -> int:
        """Read changed files again; what has become wrong or unreadable keeps what it said before.

        Returns:
            How many files were read anew, or have gone.
        """
        changed = 0
        for name, known in list(self._loaded.items()):
            try:
                found = self._load(name)
            except TemplateNotFoundError:
                self._loaded.pop(name, None)
                changed += 1
            else:
                changed += found.digest != known.digest or found.path != known.path
        return changed

    def _load(self, name: str) -> _Loaded:
        with self._lock:  # two readings at once could end in the wrong order
            return self._load_locked(check_page_name(name))

    def _load_locked(self, name: str) -> _Loaded:
        known = self._loaded.get(name)
        try:
            path = next((path for root in self.roots if (path := _path(root, name)) is not None), None)
            if path is None:
                return self._missed(name)
            found = _read(name, path, known if known is not None and known.path == path else None)
            if known is not None and found.source is not known.source:
                self._check(found.source)
        except TemplateNotFoundError:
            raise
        except (OSError, TemplateError) as error:
            reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
            if known is None:
                raise TemplateSyntaxError(f"Page {name!r}: {reason}") from None
            if self._told.get(name) != reason:
                self._told[name] = reason
                _log.error("A page file cannot be used", page=name, reason=reason, kept=True)
            return known
        self._told.pop(name, None)
        self._loaded[name] = found
        return found

    def _missed(self, name: str) -> NoReturn:
        self._loaded.pop(name, None)
        hint = did_you_mean(name, self.names()) or f"; there are: {', '.join(self.names())}"
        raise TemplateNotFoundError(f"There is no page {name!r}{hint}")


def _path(root: Path, name: str) -> Path | None:
    """Return the file of a name in a folder; ``None`` when there is none."""
    path = resolve_inside(root, name)
    try:
        return path if stat.S_ISREG(path.stat().st_mode) else None
    except (FileNotFoundError, NotADirectoryError):
        return None


def _can_be_served(root: Path, name: str) -> bool:
    try:
        return _path(root, check_page_name(name)) is not None
    except (InvalidArgumentError, OSError):
        return False


def _read(name: str, path: Path, known: _Loaded | None) -> _Loaded:
    status = path.stat()
    stamp = stamp_of(status)
    if known is not None and known.stamp == stamp and not known.racy:
        return known
    with path.open("rb") as file:
        data = file.read(MAX_PAGE_BYTES + 1)
    if len(data) > MAX_PAGE_BYTES:
        raise TemplateSyntaxError(f"is larger than {MAX_PAGE_BYTES:,} bytes")
    digest = hashlib.sha256(data).hexdigest()
    racy = is_racy(status)
    if known is not None and known.digest == digest:
        return replace(known, stamp=stamp, racy=racy)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8, from byte {error.start} on"
    else:
        return _Loaded(Source(name, text.replace("\r\n", "\n"), str(path)), path, stamp, racy, digest)
    raise TemplateSyntaxError(reason)
