"""What prompt files and page files have in common: names that are none, and time stamps that cannot be trusted."""

from __future__ import annotations

import os
import time

__all__ = ["DEVICE_NAMES", "is_racy", "stamp_of"]

DEVICE_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)
"""Names that some file systems keep for devices, whatever suffix follows."""

_RACY_NANOSECONDS = 2_000_000_000


def stamp_of(status: os.stat_result) -> tuple[int, ...]:
    """Return what tells a changed file from the one that was read: both times, size and inode."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def is_racy(status: os.stat_result) -> bool:
    """Whether a file changed so lately that it may change once more without its stamp showing it."""
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < _RACY_NANOSECONDS
