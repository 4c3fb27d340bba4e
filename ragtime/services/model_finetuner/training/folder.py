"""The folder of a run: one process group works in it at a time."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ragtime.errors import FineTuningError, InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.services.model_finetuner.checkpoints import CheckpointStore
from ragtime.services.model_finetuner.metrics import FineTuningMetrics
from ragtime.utils.files import write_json
from ragtime.utils.hashing import content_hash

__all__ = ["RunFolder", "int8_place"]

_log = get_logger(__name__)

_RUNS = "runs"
_DIGITS, _SHOWN_DIGITS = 16, 8


def int8_place(model: Path) -> Path:
    """Return where the int8 weights of a tuned model are, beside its folder."""
    return model.with_name(f"{model.name}-int8")


class RunFolder:
    """Checkpoints, history and description of a run.

    Attributes:
        path: The folder.
        store: Its checkpoints.
        history: Its file of steps and evaluations.
    """

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is made yet."""
        self.path = path
        self.store = CheckpointStore(path / "checkpoints")
        self.history = path / "history.jsonl"
        self._metrics = path / "metrics.json"
        self._place = path / "place.json"
        self._origin = path / "origin.json"
        self._frozen = path / "frozen"

    @classmethod
    def of(cls, output_dir: Path, fingerprints: Mapping[str, str]) -> RunFolder:
        """Return the folder of the run with this data and configuration, whether it is there or not."""
        return cls(output_dir / _RUNS / content_hash(dict(fingerprints))[:_DIGITS])

    @classmethod
    def at(cls, path: str | Path) -> RunFolder:
        """Return the folder of an earlier run.

        Args:
            path: The folder.

        Returns:
            The folder, with its checkpoints.

        Raises:
            InvalidArgumentError: There is no run.
        """
        folder = cls(Path(path).expanduser().absolute())
        if not (folder.path / "checkpoints").is_dir():
            raise InvalidArgumentError(f"resume names '{path}', but there are no checkpoints of a run")
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out while the block works.

        Yields:
            Nothing.

        Raises:
            FineTuningError: Another process works in the folder.
            StorageError: The folder cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StorageError(f"The folder of the run '{self.path}' cannot be written: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FineTuningError(f"Another process works on this run, in '{self.path}'; wait for it") from None
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def clear(self) -> None:
        """Remove checkpoints and history, so that the run starts anew; the model of a run that has ended stays."""
        shutil.rmtree(self.path / "checkpoints", ignore_errors=True)
        self.history.unlink(missing_ok=True)
        self._origin.unlink(missing_ok=True)
        if self._metrics.exists():
            self._place.unlink(missing_ok=True)
            self._metrics.unlink()

    def has_origin(self) -> bool:
        """Tell whether all that comes from an earlier run is there."""
        return self._origin.exists()

    def note_origin(self, run: Path, step: int) -> None:
        """Write down that all that comes from an earlier run is there."""
        write_json(self._origin, {"run": str(run), "step": step})

    def model_place(self, output_dir: Path, name: str) -> Path:
        """Choose where the tuned model goes: where nothing is yet.

        A run that was killed while it saved chooses the same place, and what it had saved there is removed. A model
        whose run has ended is never touched.

        Args:
            output_dir: The folder of the models.
            name: What the model's folder is called, before what tells runs apart.

        Returns:
            A folder that is not there.
        """
        base = f"{name}-{self.path.name[:_SHOWN_DIGITS]}"
        chosen = None if self._metrics.exists() else self._chosen_place(base)
        if chosen is not None:
            place = output_dir / chosen
            for leftover in (place, int8_place(place)):
                shutil.rmtree(leftover, ignore_errors=True)
            return place
        numbered = (output_dir / (base if number == 1 else f"{base}-{number}") for number in itertools.count(1))
        place = next(one for one in numbered if not one.exists() and not int8_place(one).exists())
        write_json(self._place, {"model": place.name})
        return place

    def _chosen_place(self, base: str) -> str | None:
        """Return the name that an earlier attempt has chosen; ``None`` unless it is one that this run chooses."""
        try:
            name = json.loads(self._place.read_bytes())["model"]
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        # It will be deleted: nothing but such a name counts, whatever the file says.
        return name if isinstance(name, str) and re.fullmatch(rf"{re.escape(base)}(-\d+)?", name) else None

    def frozen_place(self, rank: int) -> Path:
        """Make and return the folder in which a process keeps the states of frozen layers."""
        place = self._frozen / str(rank)
        place.mkdir(parents=True, exist_ok=True)
        return place

    def forget_frozen(self) -> None:
        """Remove the states of frozen layers; they can be computed again."""
        shutil.rmtree(self._frozen, ignore_errors=True)

    def forget_what_is_spent(self) -> None:
        """Remove all checkpoints but the newest and the best, from which a longer run could go on."""
        self.store.trim(1)

    def keep_result(self, metrics: FineTuningMetrics) -> None:
        """Write down that the run has ended, and with what."""
        write_json(self._metrics, metrics.model_dump(mode="json"))

    def result(self) -> FineTuningMetrics | None:
        """Read what the run ended with.

        Returns:
            The metrics; ``None`` when the run has not ended, or its model or what is told of it is gone or damaged.

        Raises:
            StorageError: The file cannot be read.
        """
        try:
            metrics = FineTuningMetrics.model_validate_json(self._metrics.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"'{self._metrics}' cannot be read: {error.strerror or error}") from error
        except ValueError:
            _log.warning("The result of a run is damaged; it is made again", path=str(self._metrics))
            return None
        return metrics if metrics.model_path.is_dir() else None
