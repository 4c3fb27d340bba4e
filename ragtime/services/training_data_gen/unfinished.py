"""Working files of runs: which one a run may use, and what is left of runs that were killed.

A run reads its sources into a file of its own. Only then it is known what the run is, and whether there is a file of an
equal run that was interrupted, which it goes on with unless another process has that one in hand. Each file is held by
a lock, so that what nobody holds is known to be left over.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.services.training_data_gen.claims import Claim
from ragtime.services.training_data_gen.staging import Staging, remove_staging

__all__ = ["UnfinishedRuns", "WorkingFile", "remove_unfinished", "unfinished_folder"]

_SUFFIX = ".lock"
_KEPT_FOR = timedelta(days=7)  # so that texts of an interrupted run do not rest for ever
_log = get_logger(__name__)


class UnfinishedRuns(NamedTuple):
    """What became of the working files of unfinished runs.

    Attributes:
        removed: How many were removed, with all texts in them.
        in_use: How many stay, for a run has them in hand; it removes its own when it ends.
    """

    removed: int
    in_use: int


def unfinished_folder(settings: Settings) -> Path:
    """Return the folder of working files."""
    return settings.data_path("datasets", "unfinished")


def remove_unfinished(settings: Settings | None = None, *, older_than: timedelta | None = None) -> UnfinishedRuns:
    """Remove what interrupted runs have left, with the texts of documents and users in it.

    Each of them begins anew when it is begun again. Call it when texts were forgotten for good, such as by
    ``ConversationManager.forget``: a working file holds copies of what the run had read.

    Args:
        settings: Say where working files are; ``None`` means the current ones.
        older_than: Only what has not been written to for so long; ``None`` means all.

    Returns:
        How many were removed, and how many are in use.

    Raises:
        InvalidArgumentError: `older_than` is negative.
        StorageError: One cannot be removed.
    """
    if older_than is not None and older_than < timedelta(0):
        raise InvalidArgumentError(f"older_than must not be negative, found {older_than}")
    folder = unfinished_folder(get_settings() if settings is None else settings)
    try:
        found = _removed(folder, timedelta(0) if older_than is None else older_than)
    except OSError as error:
        raise StorageError(f"Cannot remove from {str(folder)!r}: {error.strerror or error}") from error
    _log.info("Unfinished runs were removed", removed=found.removed, in_use=found.in_use)
    return found


def _removed(folder: Path, age: timedelta) -> UnfinishedRuns:
    removed = in_use = 0
    for path in sorted(folder.glob("*.sqlite")):
        if age and time.time() - _written_at(path) < age.total_seconds():
            continue
        claim = Claim.take(path.with_name(f"{path.name}{_SUFFIX}"))
        if claim is None:
            in_use += 1
            continue
        with claim:
            remove_staging(path)
        removed += 1
    return UnfinishedRuns(removed, in_use)


def _written_at(path: Path) -> float:
    """Return when a file was last written to, its journal included; now, when it is gone meanwhile."""
    times = [one.stat().st_mtime for one in (path, path.with_name(f"{path.name}-wal")) if one.exists()]
    return max(times, default=time.time())


class WorkingFile:
    """The working file of a run, for a ``with`` block; it is removed at the end, unless ``keep`` was called.

    The folder can be read by its owner alone: until a run is over, texts rest there as they were given. What was kept
    is cleared away by the first run that begins a week later.

    Attributes:
        staging: The file.
    """

    def __init__(self, folder: Path, *, seed: int) -> None:
        """Make a file, and clear away old ones, and those of runs that were killed before they knew what they are.

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
        _removed(self._folder, _KEPT_FOR)

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
