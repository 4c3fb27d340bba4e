"""The checkpoints of a run: the newest valid one counts, whatever happened to the process or to the files."""

from __future__ import annotations

import fcntl
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.services.model_finetuner.checkpoints.folder import read_checkpoint, write_checkpoint
from ragtime.services.model_finetuner.checkpoints.manifest import DamagedCheckpointError, check_files, read_manifest
from ragtime.services.model_finetuner.checkpoints.state import TrainingState

__all__ = ["Checkpoint", "CheckpointStore"]

_NAME = re.compile(r"checkpoint-(?P<serial>\d{6,})-step-\d+")
_DAMAGED = ".damaged"
_TEMPORARY = ".tmp"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that is there.

    Attributes:
        serial: Its number among all checkpoints of the folder; the newest one has the highest.
        step: Optimizer steps taken.
        score: The validation score, higher is better; ``None`` when the step was not validated.
        path: Its folder.
    """

    serial: int
    step: int
    score: float | None
    path: Path


class CheckpointStore:
    """Checkpoints in a folder, each written whole or not at all.

    A checkpoint is written beside its place, flushed to disk and renamed. Newest is what was written last, which need
    not be that of the highest step: a run can go back to an earlier one. Checkpoints that are damaged are renamed to
    ``*.damaged``, and a warning says why. The files are safetensors and JSON.

        store = CheckpointStore("run/checkpoints", keep=2)
        store.save(TrainingState({"model": model.state_dict(), ...}), step=100, score=0.71)
        if (newest := store.newest()) is not None:
            state = store.load(newest.path)

    Attributes:
        folder: The folder.
        keep: How many of the newest checkpoints are kept; the best one is kept besides.
    """

    def __init__(self, folder: str | Path, *, keep: int = 2) -> None:
        """Name the folder; it is made by the first save.

        Args:
            folder: Where the checkpoints are.
            keep: How many of the newest ones to keep. With one, damage to it leaves none but the best.

        Raises:
            InvalidArgumentError: `keep` is no whole number from 1.
        """
        _check_keep(keep)
        self.folder = Path(folder)
        self.keep = keep

    # --- writing ------------------------------------------------------------------------------------------------

    def save(self, state: TrainingState, *, step: int, score: float | None = None) -> Path:
        """Write a checkpoint, then remove those that are no longer kept.

        Args:
            state: The state of the run.
            step: Optimizer steps taken.
            score: The validation score, higher is better; ``None`` means that the step was not validated.

        Returns:
            The folder of the checkpoint. When this returns, it survives the death of the machine.

        Raises:
            InvalidArgumentError: The step or the score is no number, or the state holds something that can be kept
                neither as a tensor nor as JSON.
            StorageError: The checkpoint cannot be written; those before it are as they were.
        """
        if type(step) is not int or step < 0:
            raise InvalidArgumentError(f"step must be a whole number from 0, found {step!r}")
        if score is not None and (type(score) not in {int, float} or not math.isfinite(score)):
            raise InvalidArgumentError(f"score must be a finite number or None, found {score!r}")
        with log_operation(_log, "save_checkpoint", folder=str(self.folder), step=step, score=score) as operation:
            try:
                with self._locked():
                    path, size = self._write(state, step, None if score is None else float(score))
                    operation.add(checkpoint=path.name, bytes=size, removed=self._rotate(self.keep))
            except OSError as error:
                raise StorageError(f"Cannot write to '{self.folder}': {error.strerror or error}") from error
        return path

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other writers out: what they have begun must not be taken for the leftovers of a dead one."""
        missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in missing:
            _sync_folder(path.parent)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing does not, when another thread has forked meanwhile
            os.close(descriptor)

    def _write(self, state: TrainingState, step: int, score: float | None) -> tuple[Path, int]:
        self._remove_leftovers()
        place = self.folder / f"checkpoint-{self._next_serial():06}-step-{step}"
        staged = self.folder / f".{place.name}.{secrets.token_hex(8)}{_TEMPORARY}"
        try:
            staged.mkdir()
            manifest = write_checkpoint(staged, state, step=step, score=score)
            staged.rename(place)
        except BaseException:
            shutil.rmtree(staged, ignore_errors=True)
            raise
        _sync_folder(self.folder)
        return place, manifest.size

    def _next_serial(self) -> int:
        # Those set aside count, so that the name of one that is damaged never comes again.
        numbers = (_NAME.match(path.name) for path in self.folder.iterdir())
        return max((int(found["serial"]) for found in numbers if found), default=0) + 1

    def _remove_leftovers(self) -> None:
        for path in self.folder.glob(f".checkpoint-*{_TEMPORARY}"):
            shutil.rmtree(path)

    def trim(self, keep: int) -> int:
        """Remove checkpoints that are no longer needed, as after the end of a run.

        Args:
            keep: How many of the newest ones stay; the best one stays besides.

        Returns:
            How many were removed.

        Raises:
            InvalidArgumentError: `keep` is no whole number from 1.
            StorageError: They cannot be removed.
        """
        _check_keep(keep)
        if not self.folder.is_dir():
            return 0
        with log_operation(_log, "trim_checkpoints", folder=str(self.folder), keep=keep) as operation:
            try:
                with self._locked():
                    self._remove_leftovers()
                    removed = self._rotate(keep)
            except OSError as error:
                raise StorageError(f"Cannot write to '{self.folder}': {error.strerror or error}") from error
            operation.add(removed=removed)
        return removed

    def _rotate(self, keep: int) -> int:
        """Remove what is no longer kept, and return how many that were."""
        there = self._list()
        best = _best_of(there)
        removed = [one for one in there[:-keep] if one != best]
        for checkpoint in removed:
            # Under another name first: one that is half removed would look damaged.
            doomed = self.folder / f".{checkpoint.path.name}.{secrets.token_hex(8)}{_TEMPORARY}"
            checkpoint.path.rename(doomed)
            shutil.rmtree(doomed)
        return len(removed)

    # --- reading ------------------------------------------------------------------------------------------------

    def newest(self) -> Checkpoint | None:
        """Find the newest checkpoint whose every file is what was written; damaged ones are set aside.

        Returns:
            The checkpoint; ``None`` when there is none.

        Raises:
            StorageError: The folder or a file in it cannot be read, which is not to say that it is damaged.
        """
        for serial, path in reversed(self._paths()):
            checkpoint = self._checked(serial, path)
            if checkpoint is not None:
                return checkpoint
        return None

    def best(self) -> Checkpoint | None:
        """Find the checkpoint of the highest score, the earliest of those that share it.

        Returns:
            The checkpoint; ``None`` when none has a score.

        Raises:
            StorageError: A checkpoint that may be the best one is damaged, and was set aside: the best of the others is
                not what was asked for, and is returned by the next call; or the folder or a file in it cannot be read.
        """
        paths = self._paths()
        there = self._list()
        best = _best_of(there)
        sound = best is None or self._checked(best.serial, best.path) is not None
        if not sound or len(there) < len(paths):
            raise StorageError(
                f"In '{self.folder}', a checkpoint that may be the best one is damaged; it was renamed to "
                f"*{_DAMAGED}. Ask again for the best of the others"
            )
        return best

    def load(self, path: str | Path) -> TrainingState:
        """Read a checkpoint, after comparing every file with what was written.

        Args:
            path: Its folder, such as the ``path`` of :meth:`newest`.

        Returns:
            The state of the run, equal to that which was saved, with its tensors on the CPU.

        Raises:
            StorageError: It is not there, damaged, or cannot be read.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise StorageError(f"There is no checkpoint in '{folder}'")
        with log_operation(_log, "load_checkpoint", path=str(folder)):
            return read_checkpoint(folder)

    def _paths(self) -> list[tuple[int, Path]]:
        """Return number and folder of each checkpoint, the newest last, without looking into them."""
        try:
            found = [(_NAME.fullmatch(path.name), path) for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"Cannot read '{self.folder}': {error.strerror or error}") from error
        return sorted((int(name["serial"]), path) for name, path in found if name)

    def _list(self) -> list[Checkpoint]:
        """Return the checkpoints whose manifest is sound, the newest last; set the others aside."""
        found = (self._checked(serial, path, files=False) for serial, path in self._paths())
        return [checkpoint for checkpoint in found if checkpoint is not None]

    def _checked(self, serial: int, path: Path, *, files: bool = True) -> Checkpoint | None:
        try:
            manifest = read_manifest(path)
            if files:
                check_files(path, manifest)
        except DamagedCheckpointError as error:
            self._set_aside(path, error)
            return None
        return Checkpoint(serial, manifest.step, manifest.score, path)

    def _set_aside(self, path: Path, reason: DamagedCheckpointError) -> None:
        aside = path.with_name(path.name + _DAMAGED)
        try:
            path.rename(aside)
        except FileNotFoundError:  # another process has removed it, or set it aside
            return
        except OSError as error:  # on a medium that is read-only the others can still be used
            _log.warning(
                "A damaged checkpoint is passed over; it cannot be renamed",
                checkpoint=str(path),
                reason=str(reason),
                error=error.strerror,
            )
            return
        _log.warning("A damaged checkpoint is set aside", checkpoint=str(aside), reason=str(reason))


def _check_keep(keep: int) -> None:
    if type(keep) is not int or keep < 1:
        raise InvalidArgumentError(f"keep must be a whole number from 1, found {keep!r}")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _best_of(checkpoints: list[Checkpoint]) -> Checkpoint | None:
    scored = [(one.score, -one.serial, one) for one in checkpoints if one.score is not None]
    return max(scored)[2] if scored else None
