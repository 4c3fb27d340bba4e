"""The stages of a run that need models: measure, train, measure again, ask the gate, ship."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ragtime.monitoring.logging import get_logger
from ragtime.records.base import Record
from ragtime.services.learning.data import VALIDATION, LearnedData, dataset_folder
from ragtime.services.learning.held_out import HeldOut
from ragtime.services.learning.journal import Journal
from ragtime.services.learning.measuring import Measured, ModelOpener, measure
from ragtime.services.learning.report import MeasuredModel
from ragtime.services.learning.shipping import (
    REGISTRY,
    Registered,
    in_production,
    keep_evaluations,
    promote_once,
    promotion_of,
    register,
)
from ragtime.services.learning.task import RunTask
from ragtime.services.learning.telling import Trained, measured_model
from ragtime.services.learning.verdict import QuestionTeller, Verdict, decide, questions_moved
from ragtime.services.model_finetuner import EvaluationData, FineTuningMetrics, ModelFineTuner
from ragtime.services.model_finetuner.comparison import OpenedModel
from ragtime.services.model_finetuner.saving import read_about
from ragtime.storage.registry.records import SHORT
from ragtime.utils.progress import Progress

__all__ = ["ModelStages", "Tuning"]

_log = get_logger(__name__)

Opening = Callable[[], AbstractContextManager[OpenedModel]]
"""Opens a model."""


class Tuned(Record):
    """What the training tells of itself, as the journal keeps it.

    Attributes:
        metrics: The metrics.
    """

    metrics: FineTuningMetrics


class Tuning(NamedTuple):
    """What the tuning of a model came to.

    Attributes:
        models: What was measured, the tuned model last, behind the one it was compared with.
        trained: The training.
        verdict: What the gate has said.
        promoted: Whether the tuned model was put in production.
        notes: What a reader has to know.
    """

    models: tuple[MeasuredModel, ...]
    trained: Trained
    verdict: Verdict
    promoted: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Rival:
    """The model that the tuned one has to beat: the one in production, or the base model when there is none."""

    version: str | None
    measured: Measured
    open: Opening


class ModelStages:
    """Makes a tuned model of a data set, and ships it if it is better."""

    def __init__(
        self, task: RunTask, journal: Journal, progress: Progress, *, base: str, held_out: HeldOut, folder: Path
    ) -> None:
        """Get ready.

        Args:
            task: What to do.
            journal: What has been done, and where it is noted.
            progress: Is told of each stage.
            base: The base model, of the registry with its version.
            held_out: The questions of the gate; its data are not ``None``.
            folder: Where embeddings are kept.
        """
        assert held_out.data is not None  # noqa: S101 - with too few questions, nothing is trained
        self._task, self._journal, self._progress = task, journal, progress
        self._base, self._held_out = base, held_out
        self._questions: EvaluationData = held_out.data
        self._opener = ModelOpener(task.settings, task.config, task.registry, task.model_loader, folder)

    def tune(self, data: LearnedData, dataset_id: str) -> Tuning:
        """Do what is left to do.

        Args:
            data: The training data.
            dataset_id: Their data set.

        Returns:
            What came out.

        Raises:
            RagtimeError: A stage cannot be done; what those before it came to is kept.
        """
        base = self._measured("base", [self._base], lambda: self._opener.base(self._base))
        self._progress.advance()
        trained = self._trained(data, dataset_id)
        self._progress.advance()
        folder = trained.metrics.model_path
        tuned = self._measured("tuned", [folder.name], lambda: self._opener.folder(folder.name, folder))
        self._progress.advance()
        version = self._registered(folder, tuned)
        self._progress.advance()
        rival, verdict, promoted = self._shipped(version, base, tuned, folder)
        undone = promoted and in_production(self._task.registry, self._task.name) != version
        notes = ("Another version has been put in production since",) if undone else ()
        return Tuning(self._told(base, rival, tuned, version), trained, verdict, promoted, notes)

    # --- training ---------------------------------------------------------------------------------------------------

    def _trained(self, data: LearnedData, dataset_id: str) -> Trained:
        task = self._task
        inputs = [task.run_id, dataset_id, self._base]
        known = self._journal.read("training", inputs, Tuned)
        if known is not None and not known.metrics.model_path.is_dir():
            _log.warning("The tuned model of this run is gone, and is made again", path=str(known.metrics.model_path))
            self._journal.forget("training")
        config = task.config.model_copy(update={"base_model_name": self._base})

        def train() -> Tuned:
            tuner = ModelFineTuner(
                config, settings=task.settings, model_loader=task.model_loader, registry=task.registry.resolve
            )
            folder = dataset_folder(task.settings, dataset_id)
            validation = folder / f"{VALIDATION}.jsonl" if data.validation_pairs else None
            return Tuned(metrics=tuner.train(folder, validation))

        metrics = self._journal.done("training", inputs, train, Tuned).metrics
        return Trained(metrics, config, read_about(metrics.model_path).packages)

    # --- measuring --------------------------------------------------------------------------------------------------

    def _measured(self, stage: str, inputs: list[str], opening: Opening) -> Measured:
        general = self._task.general

        def make() -> Measured:
            with opening() as model:
                return measure(model, self._questions, general)

        told = [self._task.run_id, *inputs, self._questions.fingerprint, general.fingerprint]
        return self._journal.done(stage, told, make, Measured)

    # --- shipping ---------------------------------------------------------------------------------------------------

    def _registered(self, folder: Path, tuned: Measured) -> str:
        task = self._task
        told = [task.run_id, folder.name, tuned.held_out.model_id]

        def make() -> Registered:
            return register(folder, task.name, task.registry, evaluations=[tuned.held_out, tuned.general])

        return self._journal.done("version", told, make, Registered).version

    def _shipped(self, version: str, base: Measured, tuned: Measured, folder: Path) -> tuple[_Rival, Verdict, bool]:
        """Ask the gate, and promote; another model that has gone into production meanwhile is to be beaten, too."""
        task = self._task
        while True:
            rival = self._rival(version, base)
            verdict = self._verdict(rival, tuned, folder)
            if not verdict.decision.promote:
                return rival, verdict, False
            if promotion_of(task.registry, task.name, version, task.run_id) is not None:
                return rival, verdict, True
            if in_production(task.registry, task.name) == rival.version:
                promote_once(task.registry, task.name, version, task.run_id, reason=verdict.decision.reasons[0])
                return rival, verdict, True
            _log.warning("Another version went into production meanwhile: the tuned model is compared with it")

    def _rival(self, version: str, base: Measured) -> _Rival:
        task, registry = self._task, self._task.registry
        promotion = promotion_of(registry, task.name, version, task.run_id)
        current = in_production(registry, task.name) if promotion is None else promotion.former
        if current is None or self._base == self._reference(current):
            return _Rival(current, base, lambda: self._opener.base(self._base))
        name = f"{task.name}@{current[:SHORT]}"

        def opening() -> AbstractContextManager[OpenedModel]:
            return self._opener.folder(name, registry.resolve(f"{task.name}@{current}"))

        measured = self._measured("in_use", [current], opening)
        keep_evaluations(registry, task.name, current, measured)
        return _Rival(current, measured, opening)

    def _reference(self, version: str) -> str:
        return f"{REGISTRY}{self._task.name}@{version[:SHORT]}"

    def _verdict(self, rival: _Rival, tuned: Measured, folder: Path) -> Verdict:
        task = self._task

        def make() -> Verdict:
            decision, compared = decide(task.gate, rival.measured, tuned)
            moved = questions_moved(compared, task.frame.shown)
            teller = QuestionTeller(self._held_out, rival.measured, tuned, compared.figure)
            with rival.open() as model:
                before = teller.rankings(model, moved)
            with self._opener.folder(folder.name, folder) as model:
                after = teller.rankings(model, moved)
            return Verdict(
                decision=decision,
                won=teller.outcomes(moved.won, before, after),
                lost=teller.outcomes(moved.lost, before, after),
            )

        told = [task.run_id, rival.measured.held_out.model_id, tuned.held_out.model_id, rival.version]
        return self._journal.done("verdict", told, make, Verdict)

    # --- telling ----------------------------------------------------------------------------------------------------

    def _told(self, base: Measured, rival: _Rival, tuned: Measured, version: str) -> tuple[MeasuredModel, ...]:
        name = self._base.removeprefix(REGISTRY)
        of_registry = self._base.startswith(REGISTRY)
        models = [measured_model("base", Path(name).name, name if of_registry else None, base)]
        if rival.measured is not base and rival.version is not None:
            reference = f"{self._task.name}@{rival.version[:SHORT]}"
            models.append(measured_model("in_use", reference, reference, rival.measured))
        reference = f"{self._task.name}@{version[:SHORT]}"
        return (*models, measured_model("tuned", reference, reference, tuned))
