"""Going on with another run: in its folder when nothing has changed, else in one of its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ragtime.errors import FineTuningError
from ragtime.services.model_finetuner.checkpoints import Checkpoint, TrainingState, check_fingerprints
from ragtime.services.model_finetuner.training.base import SURROUNDINGS, own_fingerprints
from ragtime.services.model_finetuner.training.folder import RunFolder
from ragtime.services.model_finetuner.training.history import History
from ragtime.services.model_finetuner.training.stopping import EarlyStopping

__all__ = ["Origin"]

_JUDGED_BY = ("data.", "model.", "config.random_seed", "config.validation_")
"""What validation figures depend on, besides the weights."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run with another configuration begins.

    Attributes:
        folder: The folder of the earlier run, which stays as it is.
        newest: Its newest checkpoint.
        changed: What differs from it, by name; empty when the run is the same.
        kept: Fingerprints of the earlier run.
    """

    folder: RunFolder
    newest: Checkpoint
    changed: Collection[str]
    kept: Mapping[str, str]

    @classmethod
    def find(cls, path: str | Path, fingerprints: Mapping[str, str], allow_changed: Collection[str]) -> Origin:
        """Look at an earlier run.

        Args:
            path: Its folder.
            fingerprints: Those of the run that wants to go on with it.
            allow_changed: What may differ.

        Returns:
            Where it is.

        Raises:
            InvalidArgumentError: There is no run, or `allow_changed` names what there is not.
            FineTuningError: Something else differs, or no checkpoint can be used.
        """
        folder = RunFolder.at(path)
        newest = folder.store.newest()
        if newest is None:
            raise FineTuningError(f"None of the checkpoints in '{folder.path}' can be used: start anew, without resume")
        kept = folder.store.load(newest.path).fingerprints
        found = check_fingerprints(kept, fingerprints, allow_changed=[*allow_changed, SURROUNDINGS])
        changed = [name for name in found if not name.startswith(f"{SURROUNDINGS}.")]
        return cls(folder, newest, changed, kept)

    def place(self, output_dir: Path, fingerprints: Mapping[str, str]) -> RunFolder:
        """Return the folder of the run that goes on: another one, once something has changed."""
        if not self.changed:
            return self.folder
        origin = {f"origin.{name}": value for name, value in own_fingerprints(self.kept).items()}
        return RunFolder.of(
            output_dir, {**own_fingerprints(fingerprints), **origin, "origin.step": str(self.newest.step)}
        )

    def carry_over(self, folder: RunFolder, fingerprints: Mapping[str, str]) -> None:
        """Put what the earlier run has reached into the folder of the one that goes on, unless it is there.

        With it comes the best checkpoint, when its figure can be compared with those to come.

        Args:
            folder: The folder, locked.
            fingerprints: Those of the run that goes on.

        Raises:
            StorageError: The checkpoints cannot be read or written.
        """
        if folder.path == self.folder.path or folder.has_origin():
            return
        folder.clear()
        comparable = not any(name.startswith(_JUDGED_BY) for name in self.changed)
        best = self.folder.store.best() if comparable else None
        for checkpoint in (best, self.newest):
            if checkpoint is None or (checkpoint is best and best.serial == self.newest.serial):
                continue
            parts = dict(self.folder.store.load(checkpoint.path).parts)
            if "config.optimizer" in self.changed:
                parts["optimizer"] = None
            if not comparable:
                parts["stopping"] = {**EarlyStopping(patience=1).state()}
            score = checkpoint.score if comparable else None
            folder.store.save(TrainingState(parts, fingerprints), step=checkpoint.step, score=score)
        History.copy(self.folder.history, folder.history, until=self.newest.step, evaluations=comparable)
        folder.note_origin(self.folder.path, self.newest.step)
