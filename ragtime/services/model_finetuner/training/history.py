"""The history of a run: one line a step and an evaluation, appended while it goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.services.model_finetuner.metrics import EpochRecord, EvaluationRecord, StepRecord
from ragtime.utils.files import write_text

__all__ = ["History", "epochs_of"]

_log = get_logger(__name__)

_KINDS: Mapping[str, type[StepRecord | EvaluationRecord]] = {"step": StepRecord, "eval": EvaluationRecord}


class History:
    """Steps and evaluations, on disk and in memory.

    A run that goes on from a checkpoint forgets what came after it, and takes these steps again. Lines are appended
    without waiting for the disk: :meth:`flush` is called before each checkpoint, so that what lies behind it is there.

    Attributes:
        steps: The steps so far.
        evaluations: The evaluations so far.
    """

    def __init__(self, path: str | Path | None, *, until: int = -1) -> None:
        """Open the history of a run.

        Args:
            path: The file; ``None`` keeps the history in memory, as in processes that do not write.
            until: Steps taken so far: what the file says of later ones is forgotten; -1 forgets all.

        Raises:
            StorageError: The file cannot be read or written.
        """
        self._path = None if path is None else Path(path)
        self.steps: list[StepRecord] = []
        self.evaluations: list[EvaluationRecord] = []
        self._file: IO[str] | None = None
        if self._path is not None:
            if until >= 0:
                self._read(self._path, until)
            # Without what is forgotten, and in one piece.
            known = [_line("step", one) for one in self.steps] + [_line("eval", one) for one in self.evaluations]
            write_text(self._path, "".join(known))

    @classmethod
    def copy(cls, source: Path, target: Path, *, until: int, evaluations: bool) -> None:
        """Begin the history of a run with that of an earlier one.

        Args:
            source: The earlier one's file, which stays as it is.
            target: The file to write.
            until: Steps of the earlier run that count.
            evaluations: Whether its evaluations count, too.

        Raises:
            StorageError: A file cannot be read or written.
        """
        earlier = cls(None)
        earlier._read(source, until)
        known = [_line("step", one) for one in earlier.steps]
        known += [_line("eval", one) for one in earlier.evaluations if evaluations]
        write_text(target, "".join(known))

    def _read(self, path: Path, until: int) -> None:
        try:
            lines = path.read_bytes().splitlines() if path.exists() else []
        except OSError as error:
            raise StorageError(f"The history '{path}' cannot be read: {error.strerror or error}") from error
        for line in lines:
            try:
                kind, fields = json.loads(line)
                record = _KINDS[kind](**fields)
            except (ValueError, TypeError, KeyError):  # a line that a killed process began, or that was damaged
                continue
            if record.step > until:
                continue
            if isinstance(record, StepRecord):
                self.steps.append(record)
            else:
                self.evaluations.append(record)
        if len(self.steps) < until:
            _log.warning("Steps are missing in the history of the run", path=str(path), missing=until - len(self.steps))

    def add_step(self, record: StepRecord) -> None:
        """Append a step."""
        self.steps.append(record)
        self._write("step", record)

    def add_evaluation(self, record: EvaluationRecord) -> None:
        """Append an evaluation."""
        self.evaluations.append(record)
        self._write("eval", record)

    def flush(self) -> None:
        """Bring what was appended to the disk; StorageError when that fails."""
        if self._file is not None:
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError as error:
                raise self._cannot_write(error) from error

    def close(self) -> None:
        """Bring what was appended to the disk, and close the file; StorageError when that fails."""
        file, self._file = self._file, None
        if file is not None:
            try:
                with file:
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise self._cannot_write(error) from error

    def _write(self, kind: str, record: StepRecord | EvaluationRecord) -> None:
        if self._path is None:
            return
        try:
            if self._file is None:
                self._file = self._path.open("a", encoding="utf-8")
            self._file.write(_line(kind, record))
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> StorageError:
        return StorageError(f"The history '{self._path}' cannot be written: {error.strerror or error}")


def _line(kind: str, record: StepRecord | EvaluationRecord) -> str:
    return json.dumps([kind, record.model_dump(mode="json")]) + "\n"


def epochs_of(steps: Iterable[StepRecord]) -> list[EpochRecord]:
    """Sum up steps by epoch."""
    return [_epoch(number, list(some)) for number, some in groupby(steps, key=lambda step: step.epoch)]


def _epoch(number: int, steps: Sequence[StepRecord]) -> EpochRecord:
    seconds = sum(step.seconds for step in steps)
    tokens = [step.tokens_per_second * step.seconds for step in steps]
    computed = sum(
        real / (1 - step.padding) if step.padding < 1 else 0.0 for real, step in zip(tokens, steps, strict=True)
    )
    norms = [step.gradient_norm for step in steps if step.gradient_norm is not None]
    counts: dict[str, int] = {}
    for step in steps:
        for name, count in step.counts.items():
            counts[name] = counts.get(name, 0) + count
    fields: dict[str, Any] = {
        "epoch": number,
        "steps": len(steps),
        "loss": sum(step.loss for step in steps) / len(steps),
        "learning_rate": steps[-1].learning_rate,
        "gradient_norm": sum(norms) / len(norms) if norms else None,
        "tokens_per_second": sum(tokens) / seconds if seconds else 0.0,
        "padding": max(0.0, 1 - sum(tokens) / computed) if computed else 0.0,
        "seconds": seconds,
        "counts": counts,
    }
    return EpochRecord(**fields)
