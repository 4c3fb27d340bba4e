"""The folder of a run: what each stage came to, so that a run that was stopped goes on behind it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import AfterValidator, Field, JsonValue, ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.records.base import Identifier, Record, freeze
from ragtime.storage.registry import TamperedModelError
from ragtime.storage.registry.sealed import read_sealed, write_sealed
from ragtime.utils.files import parse_json_object, remove_file, write_json
from ragtime.utils.hashing import content_hash

if TYPE_CHECKING:
    from typing import Any

__all__ = ["Journal", "Timing"]

R = TypeVar("R", bound=Record)

_DURATIONS = "run.json"
_log = get_logger(__name__)


class _Kept(Record):
    """What a stage came to, with the hash of what it came from."""

    stage: Identifier
    inputs: Identifier
    result: Annotated[Mapping[str, JsonValue], AfterValidator(freeze)]


class Timing(Record):
    """What a stage took; of one that was stopped and gone on with, its last part.

    Attributes:
        seconds: How long it was.
        ended_at: When it ended, in UTC.
    """

    seconds: Annotated[float, Field(ge=0.0)]
    ended_at: datetime


class Journal:
    """The stages of a run, one file each, which carries a hash of itself and of what the stage depends on.

    A stage whose file is there counts as done. One that is damaged, or came from something else, is done again.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        """Name the folder; it is made with the first file.

        Args:
            folder: The folder.
            clock: Returns the time, in UTC.
        """
        self.folder = folder
        self._clock = clock

    def read(self, stage: str, inputs: object, kind: type[R]) -> R | None:
        """Return what a stage came to.

        Args:
            stage: Its name.
            inputs: What it depends on: JSON values.
            kind: Class of the record.

        Returns:
            The record; ``None`` when the stage has to be done, or done again.

        Raises:
            StorageError: The file cannot be read, or was written by a later version.
        """
        path = self._path(stage)
        try:
            kept = read_sealed(path, _Kept)
            if kept.stage != stage or kept.inputs != content_hash(inputs):
                _log.info("A stage is done again, for what it depends on has changed", stage=stage, run=self._run)
                return None
            return kind.model_validate(dict(kept.result))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"Cannot read '{path}': {error.strerror or error}") from error
        except (TamperedModelError, ValidationError) as error:
            why = str(error) if isinstance(error, TamperedModelError) else f"{error.error_count()} wrong fields"
            _log.warning(
                "The file of a stage is damaged: the stage is done again", stage=stage, path=str(path), why=why
            )
            return None

    def has(self, stage: str) -> bool:
        """Whether there is a file of a stage, sound or not."""
        return self._path(stage).is_file()

    def forget(self, stage: str) -> None:
        """Let a stage be done again; StorageError when its file cannot be removed."""
        remove_file(self._path(stage))

    def done(self, stage: str, inputs: object, make: Callable[[], R], kind: type[R]) -> R:
        """Return what a stage came to, and do it first where that is not known yet.

        Args:
            stage: Its name, that of its file.
            inputs: What it depends on: JSON values.
            make: Does it.
            kind: Class of what it returns.

        Returns:
            What it came to.

        Raises:
            StorageError: Its file cannot be read or written.
        """
        if (known := self.read(stage, inputs, kind)) is not None:
            _log.info("A stage is done already", stage=stage, run=self._run)
            return known
        _log.info("A stage begins", stage=stage, run=self._run)
        start = time.perf_counter()
        result = make()
        kept = _Kept(stage=stage, inputs=content_hash(inputs), result=result.model_dump(mode="json"))
        write_sealed(self._path(stage), kept)
        seconds = round(time.perf_counter() - start, 3)
        self._note(stage, Timing(seconds=seconds, ended_at=self._clock()))
        _log.info("A stage is done", stage=stage, run=self._run, seconds=seconds)
        return result

    @contextmanager
    def spare_folder(self, name: str) -> Iterator[Path]:
        """Return a folder for what can be made again, which is removed when the block ends well.

        Args:
            name: Its name.

        Yields:
            The folder; it holds what an earlier attempt has left.

        Raises:
            StorageError: It cannot be made.
        """
        place = self.folder / name
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"Cannot write '{place}': {error.strerror or error}") from error
        yield place
        shutil.rmtree(place, ignore_errors=True)

    def _note(self, stage: str, timing: Timing) -> None:
        """Keep what the stage took, in a file of its own: two equal runs differ in nothing else."""
        path = self.folder / _DURATIONS
        try:
            known: dict[str, Any] = parse_json_object(path.read_bytes())
        except (OSError, InvalidArgumentError):  # none yet, or no use of it
            known = {}
        write_json(path, {**known, stage: timing.model_dump(mode="json")})

    @property
    def _run(self) -> str:
        return self.folder.name

    def _path(self, stage: str) -> Path:
        return self.folder / f"{stage}.json"
