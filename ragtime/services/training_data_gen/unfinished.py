"""Working files of runs: which one a run may use, and what is left of runs that were killed.

A run reads its sources into a file of its own. Only then it is known what the run is, and whether there is a file of an
equal run that was interrupted, which it goes on with unless another process has that one in hand. Each file is held by
a lock, so that what nobody holds is known to be left over.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.services.training_data_gen.claims import Claim
from ragtime.services.training_data_gen.staging import Staging, remove_staging

__all__ = ["WorkingFile"]

_SUFFIX = ".lock"
_log = get_logger(__name__)


class WorkingFile:
    """The working file of a run, for a ``with`` block; it is removed at the end, unless ``keep`` was called.

    The folder can be read by its owner alone: until a run is over, texts rest there as they were given.

    Attributes:
        staging: The file.
    """

    def __init__(self, folder: Path, *, seed: int) -> None:
        """Make a file, and clear away those of runs that were killed before they knew what they are.

        Args:
            folder: Where working files are.
            seed: As for ``Staging``.

        Raises:
            StorageError: It cannot be made.
        """
        self._folder = folder
        self._keep = False
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            self._clear()
            name = f".{secrets.token_hex(8)}.sqlite"
            claim = Claim.take(folder / f"{name}{_SUFFIX}")
        except OSError as error:
            raise StorageError(f"Cannot write to {str(folder)!r}: {error.strerror or error}") from error
        assert claim is not None  # noqa: S101 - nobody else knows the name
        self._claim = claim
        try:
            self.staging = Staging(folder / name, seed=seed)
        except BaseException:
            remove_staging(folder / name)
            claim.release()
            raise

    def _clear(self) -> None:
        for path in self._folder.glob(f".*.sqlite{_SUFFIX}"):
            claim = Claim.take(path)
            if claim is not None:
                remove_staging(path.with_name(path.name.removesuffix(_SUFFIX)))
                claim.release()

    def go_on(self, key: str) -> None:
        """Go on with the file of an equal run that was interrupted, if there is one that nobody has in hand.

        Args:
            key: Hash of all that the result depends on.

        Raises:
            StorageError: The file cannot be used.
        """
        path = self._folder / f"{key[:32]}.sqlite"
        try:
            claim = Claim.take(path.with_name(f"{path.name}{_SUFFIX}"))
        except OSError as error:
            raise StorageError(f"Cannot write to {str(self._folder)!r}: {error.strerror or error}") from error
        if claim is None:
            _log.info("An equal run is under way; this one does not share its work")
            return
        former, self._claim = self._claim, claim
        try:
            self.staging.move_to(path)
        finally:
            former.release()

    def keep(self) -> None:
        """Leave the file where it is when the block ends, for an equal run to go on with."""
        self._keep = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.staging.close()
        try:
            if not self._keep:
                remove_staging(self.staging.path)
        finally:
            self._claim.release()
