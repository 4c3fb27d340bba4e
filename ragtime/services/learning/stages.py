"""A run of the loop: its stages, each done once, whatever becomes of the process meanwhile."""

from __future__ import annotations

from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.records.base import Record, Text
from ragtime.services.learning.data import TRAIN, LearnedData, check_dataset, dataset_folder, make_data, part_of
from ragtime.services.learning.held_out import LEAST_QUESTIONS, HeldOut, held_out_part, with_unseen
from ragtime.services.learning.journal import Journal
from ragtime.services.learning.report import LearningReport
from ragtime.services.learning.shipping import REGISTRY, pin_base
from ragtime.services.learning.task import RunTask
from ragtime.services.learning.telling import data_account, shown_kept, tell_outcome, tell_too_little
from ragtime.services.learning.tuning import ModelStages
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample
from ragtime.utils.progress import Progress

__all__ = ["STAGES", "LearningRun"]

STAGES = 6
"""Stages that there are in any run that trains: begin, data, base model, training, tuned model, registry."""

_EMBEDDINGS = "embeddings"
_log = get_logger(__name__)


class Pinned(Record):
    """The base model, as it was when the run began: another version may be in production before it ends.

    Attributes:
        base: Its name, of a model in the registry with the version.
    """

    base: Text


class LearningRun:
    """Goes through the stages; what is done already is read from the journal."""

    def __init__(self, task: RunTask, generator: TrainingDataGenerator, journal: Journal, progress: Progress) -> None:
        """Get ready.

        Args:
            task: What to do.
            generator: Makes examples of the sources.
            journal: What has been done, and where it is noted.
            progress: Is told of each stage.
        """
        self._task, self._generator = task, generator
        self._journal, self._progress = journal, progress

    def report(self) -> LearningReport:
        """Do what is left to do, and tell what came out.

        Returns:
            The report; it is not written yet.

        Raises:
            RagtimeError: A stage cannot be done; what those before it came to is kept.
        """
        task = self._task
        base, data = self._base(), self._data()
        examples = self._examples(data)
        held_out = self._held_out(data, examples)
        learning = task.settings.learning
        least = learning.min_training_pairs, max(LEAST_QUESTIONS, learning.min_held_out_questions)
        questions = 0 if held_out is None else held_out.account.questions
        account = data_account(
            task.frame,
            data,
            held_out,
            shown_kept(examples, task.frame),
            missing_pairs=max(0, least[0] - data.training_pairs),
            missing_questions=max(0, least[1] - questions),
        )
        notes = [] if held_out is None else list(held_out.notes)
        notes += [f"The part {part!r} missed its share of the examples: {why}" for part, why in data.misses.items()]
        if held_out is None or data.dataset_id is None or account.missing_pairs or account.missing_questions:
            return tell_too_little(task.frame, account, least, notes)
        with self._journal.spare_folder(_EMBEDDINGS) as folder:
            stages = ModelStages(task, self._journal, self._progress, base=base, held_out=held_out, folder=folder)
            tuning = stages.tune(data, data.dataset_id)
        return tell_outcome(
            task.frame,
            account,
            tuning.models,
            tuning.trained,
            tuning.verdict,
            promoted=tuning.promoted,
            in_settings=task.settings.embedding.model_name == f"{REGISTRY}{task.name}",
            notes=[*notes, *tuning.notes],
        )

    def _base(self) -> str:
        """Name the version of the base model; after a promotion nothing but the journal knows which it was."""
        inputs = [self._task.run_id]
        if self._journal.read("begin", inputs, Pinned) is None and self._journal.has("version"):
            raise StorageError(
                f"The file 'begin.json' in '{self._journal.folder}' is gone or damaged, and nothing else tells which "
                "model this run began with: remove the folder, and the same call runs anew"
            )

        def make() -> Pinned:
            return Pinned(base=pin_base(str(self._task.config.base_model_name), self._task.registry))

        pinned = self._journal.done("begin", inputs, make, Pinned)
        self._progress.advance()
        return pinned.base

    def _data(self) -> LearnedData:
        task, inputs = self._task, [self._task.run_id]
        known = self._journal.read("data", inputs, LearnedData)
        if known is not None and known.dataset_id and not dataset_folder(task.settings, known.dataset_id).exists():
            _log.warning("The data set of this run is gone, and is made again", dataset=known.dataset_id)
            self._journal.forget("data")
        reserved = None if task.evaluation is None else task.evaluation.asked

        def make() -> LearnedData:
            return make_data(self._generator, task.mix, reserved=reserved)

        data = self._journal.done("data", inputs, make, LearnedData)
        if data.dataset_id is not None:
            check_dataset(dataset_folder(task.settings, data.dataset_id))
        self._progress.advance()
        return data

    def _examples(self, data: LearnedData) -> list[TrainingExample]:
        """Read what is trained on."""
        if data.dataset_id is None:
            return []
        return list(part_of(dataset_folder(self._task.settings, data.dataset_id), TRAIN))

    def _held_out(self, data: LearnedData, examples: list[TrainingExample]) -> HeldOut | None:
        task = self._task
        if task.evaluation is not None:
            return with_unseen(task.evaluation, (one.response for one in examples))
        if data.dataset_id is None:
            return None
        least = task.settings.learning.min_held_out_questions
        return held_out_part(dataset_folder(task.settings, data.dataset_id), least)
