"""The right to write a file or folder that several processes may want to write."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Claim"]


class Claim:
    """A lock file that is held until it is released, or the process ends; it is gone afterwards."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Hold the lock of an open file; ``take`` gives one."""
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take a claim.

        Args:
            path: The lock file.

        Returns:
            The claim; ``None`` when somebody else has it, be it in this process.

        Raises:
            OSError: The file cannot be made.
        """
        return cls._take(path, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @classmethod
    def wait(cls, path: Path) -> Self:
        """Take a claim as soon as nobody else has it; as ``take``."""
        claim = cls._take(path, fcntl.LOCK_EX)
        assert claim is not None  # noqa: S101 - it was waited for
        return claim

    @classmethod
    def _take(cls, path: Path, how: int) -> Self | None:
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, how)
                if _is_at(descriptor, path):
                    return cls(path, descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # its former holder has removed it meanwhile

    def release(self) -> None:
        """Let others take it."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.release()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False
