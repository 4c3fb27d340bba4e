"""Reading a database file beside SQLite without taking its locks away.

When a process closes any descriptor of a file, POSIX drops all locks that the process holds on the file, those of
SQLite included; another process then believes itself alone, and removes a log that is still written to. So a file is
read directly only while this process has no connection to it, or through a descriptor that stays open as long as one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["Reader", "connection_closed", "connection_opened", "reader_of"]

T = TypeVar("T")

_lock = threading.RLock()
_connections: dict[str, int] = {}  # open connections of this process, by file
_descriptors: dict[str, list[int]] = {}  # what to close once there are none


class Reader:
    """Reads a file at any place, through a descriptor that is not closed."""

    def __init__(self, descriptor: int) -> None:
        """Read through `descriptor`."""
        self._descriptor = descriptor

    def read(self, size: int, place: int) -> bytes:
        """Return up to `size` bytes from a place on; none at the end of the file."""
        found = bytearray()
        while len(found) < size and (part := os.pread(self._descriptor, size - len(found), place + len(found))):
            found += part
        return bytes(found)


def _key(path: Path) -> str:
    return os.path.realpath(path)


def connection_opened(path: Path, check: Callable[[Path], None], connect: Callable[[], T]) -> T:
    """Open a connection, after a look into the file where this process has no other.

    Args:
        path: The file.
        check: Reads the file, and raises when it should not be opened; not called while there is a connection, for then
            the file was looked at before.
        connect: Opens the connection.

    Returns:
        What `connect` returned; ``connection_closed`` has to follow its closing.
    """
    with _lock:
        key = _key(path)
        if not _connections.get(key):
            check(path)
        made = connect()
        _connections[key] = _connections.get(key, 0) + 1
        return made


def connection_closed(path: Path) -> None:
    """Note that a connection was closed; with the last one, the descriptors that were read through go, too."""
    with _lock:
        key = _key(path)
        _connections[key] = _connections.get(key, 1) - 1
        if not _connections[key]:
            del _connections[key]
            for descriptor in _descriptors.pop(key, []):
                os.close(descriptor)


def reader_of(path: Path) -> Reader:
    """Return what reads a file while this process has a connection to it.

    Args:
        path: The file.

    Returns:
        The reader, good until the last connection is closed.

    Raises:
        OSError: The file cannot be opened.
    """
    with _lock:
        key = _key(path)
        kept = _descriptors.setdefault(key, [])
        now = Path(key).stat()
        for descriptor in kept:
            if os.path.samestat(os.fstat(descriptor), now):
                return Reader(descriptor)
        kept.append(os.open(key, os.O_RDONLY))
        return Reader(kept[-1])
