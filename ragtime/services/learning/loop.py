"""The learning loop: from sources to a model in production, if it is better, and to a report in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime import __version__
from ragtime.config.settings import Settings, get_settings, override_settings
from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import DecisionLog, TextEncoder, TextGenerator
from ragtime.records.conversation import now
from ragtime.services.learning.counting import check_sources
from ragtime.services.learning.data import strategy_mix
from ragtime.services.learning.held_out import HeldOut, check_general, given_questions
from ragtime.services.learning.identity import base_identity, encoder_identity, told_settings
from ragtime.services.learning.journal import Journal
from ragtime.services.learning.rendering import read_report, write_report
from ragtime.services.learning.report import LearningReport
from ragtime.services.learning.run_log import log_verdict
from ragtime.services.learning.sources import LearningSources, read_contents
from ragtime.services.learning.stages import STAGES, LearningRun
from ragtime.services.learning.task import RunTask
from ragtime.services.learning.telling import ReportFrame
from ragtime.services.model_finetuner import EvaluationData, FineTuningConfig, Gate
from ragtime.services.model_finetuner.comparison import EvaluationSource
from ragtime.services.model_finetuner.training import ModelLoader
from ragtime.services.training_data_gen import TrainingDataGenerator
from ragtime.services.training_data_gen.claims import Claim
from ragtime.services.training_data_gen.collaborators import check_collaborators
from ragtime.services.training_data_gen.tools import generator_identity
from ragtime.storage.conport import open_decision_log
from ragtime.storage.registry import ModelRegistry
from ragtime.storage.registry.references import check_name
from ragtime.utils.hashing import content_hash
from ragtime.utils.progress import track

if TYPE_CHECKING:
    from ragtime.services.learning.planning import LearningPlan

__all__ = ["LearningLoop"]

_FOLDER = "learning"
_DIGITS = 16  # of a run's id
_log = get_logger(__name__)


class LearningLoop:
    """Learns from what people said and how they rated it, and ships a model only if it is better.

        sources = LearningSources(documents="handbook", feedback="ratings.jsonl")
        report = LearningLoop().run(sources, "support")
        print(report.sentence)

    Training data are made of the sources and split without leaks, the base model is measured and tuned, the tuned model
    is measured and compared with the one in production, or with the base model when there is none; it is registered in
    any case, and promoted if the gate says so. With too little data nothing is trained. A run that was stopped, killed
    or crashed goes on behind the stage that it had reached when the same call is made again; when it has ended, that
    call returns its report. Two equal runs give the same report, byte for byte.
    """

    def __init__(  # noqa: PLR0913 - the parts that a run works with, each by its name
        self,
        settings: Settings | None = None,
        *,
        encoder: TextEncoder | None = None,
        generator: TextGenerator | None = None,
        finetuning: FineTuningConfig | None = None,
        registry: ModelRegistry | None = None,
        gate: Gate | None = None,
        model_loader: ModelLoader | None = None,
        decision_log: DecisionLog | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Prepare; nothing is loaded, read or written yet.

        Args:
            settings: The settings; ``None`` means those in force when a run begins.
            encoder: Embeds while training data are made; ``None`` means what ``training_data.retriever`` says.
            generator: Writes questions and paraphrases; ``None`` means that no language model is used.
            finetuning: What the training is told; ``None`` means what section ``finetuning`` says.
            registry: Where the tuned model goes; ``None`` means the registry in ``data_dir``.
            gate: The conditions of a promotion; ``None`` means those of ``Gate()``.
            model_loader: Gives the base model for a resolved config; ``None`` means to find it by its name.
            decision_log: Where runs are logged; ``None`` means what section ``conport`` says.
            clock: Returns the time, in UTC; ``None`` means the current one.

        Raises:
            InvalidArgumentError: An argument is of another kind.
        """
        check_collaborators(
            settings=settings, encoder=encoder, generator=generator, decision_log=decision_log, source_options=None
        )
        for argument, given, kind in (
            ("finetuning", finetuning, FineTuningConfig),
            ("registry", registry, ModelRegistry),
            ("gate", gate, Gate),
        ):
            if given is not None and not isinstance(given, kind):
                raise InvalidArgumentError(
                    f"{argument}: found {type(given).__name__}; expected {kind.__name__}, or None"
                )
        self._settings = settings
        self._encoder, self._generator = encoder, generator
        self._finetuning = finetuning if finetuning is not None else FineTuningConfig()
        self._registry, self._gate = registry, gate if gate is not None else Gate()
        self._model_loader, self._decision_log = model_loader, decision_log
        self._clock = clock if clock is not None else now

    def run(
        self,
        sources: LearningSources,
        name: str = "retriever",
        *,
        evaluation: EvaluationSource | None = None,
        general: EvaluationSource | None = None,
    ) -> LearningReport:
        """Learn.

        Args:
            sources: What to learn from.
            name: What the model is called in the registry.
            evaluation: The questions by which the gate decides, as for ``ModelFineTuner.evaluate``; none of them is
                trained on. ``None`` means to hold a part of the data out.
            general: The general check, which shows whether the tuned model has forgotten something; ``None`` means the
                hundred questions of the packaged sample that are kept for it.

        Returns:
            What was done, and why; it rests in its `folder`, ``learning/NAME/RUN`` in ``data_dir``, as a page and as
            JSON.

        Raises:
            InvalidArgumentError: A source is of no known kind or not there, no model can be called so, or a set of
                questions cannot be used.
            GenerationError: A source cannot be read, or what was given as documents holds none.
            BackendError: The base model cannot be loaded.
            FineTuningError: The training cannot go on.
            StorageError: A file cannot be read or written, or is not what was written.
            MissingExtraError: A package is not installed.
        """
        self._check(sources, name)
        settings = self._chosen_settings()
        with override_settings(settings), log_operation(_log, "learn", model=name) as operation:
            check_sources(settings, sources)
            task = self._task(settings, sources, name, evaluation=evaluation, general=general)
            operation.add(run=task.run_id)
            report = self._done(task, sources)
            operation.add(
                outcome=report.outcome,
                training_pairs=report.data.training_pairs,
                questions=0 if report.data.held_out is None else report.data.held_out.questions,
                version=report.version,
            )
        return report

    def plan(
        self,
        sources: LearningSources,
        name: str = "retriever",
        *,
        evaluation: EvaluationSource | None = None,
        general: EvaluationSource | None = None,
    ) -> LearningPlan:
        """Tell what a run would do, without doing it; nothing is written to ``data_dir``, and nothing is trained.

        Args:
            sources: As for :meth:`run`.
            name: As for :meth:`run`.
            evaluation: As for :meth:`run`.
            general: As for :meth:`run`.

        Returns:
            Counts, what would be done, and an estimate of the time and memory that it takes.

        Raises:
            InvalidArgumentError: As for :meth:`run`.
            GenerationError: As for :meth:`run`.
            BackendError: As for :meth:`run`.
            StorageError: As for :meth:`run`.
            MissingExtraError: As for :meth:`run`.
        """
        from ragtime.services.learning.planning import plan_learning  # noqa: PLC0415 - only for a plan

        self._check(sources, name)
        return plan_learning(
            self._chosen_settings(),
            sources,
            name,
            config=self._finetuning,
            evaluation=evaluation,
            general=general,
            registry=self._registry,
            encoder=self._encoder,
            generator=self._generator,
            model_loader=self._model_loader,
        )

    # --- before a run -----------------------------------------------------------------------------------------------

    @staticmethod
    def _check(sources: LearningSources, name: str) -> None:
        given: object = sources
        if not isinstance(given, LearningSources):
            raise InvalidArgumentError(f"sources must be LearningSources, found {type(given).__name__}")
        check_name(name)

    def _chosen_settings(self) -> Settings:
        return self._settings if self._settings is not None else get_settings()

    def _task(
        self,
        settings: Settings,
        sources: LearningSources,
        name: str,
        *,
        evaluation: EvaluationSource | None,
        general: EvaluationSource | None,
    ) -> RunTask:
        """Find out what the run is; all arguments are checked by then."""
        config = self._finetuning.resolved(settings)
        registry = self._registry if self._registry is not None else ModelRegistry(settings, clock=self._clock)
        opened = sources.opened(settings)
        given = None if evaluation is None else given_questions(evaluation)
        checked = check_general(EvaluationData.sample(reserved=True) if general is None else EvaluationData.of(general))
        contents = read_contents(opened)
        told = told_settings(settings, config, writes=self._generator is not None)
        searched = None if config.general_data is None else EvaluationData.of(config.general_data).fingerprint
        digests = {kind: content.digest for kind, content in contents.items()}
        facts = {
            "version": __version__,
            "name": name,
            "seed": settings.seed,
            "settings": told,
            "sources": digests,
            "base": base_identity(config, settings, self._model_loader),
            "encoder": encoder_identity(self._encoder),
            "generator": generator_identity(self._generator, settings),
            "evaluation": None if given is None else _fingerprint(given),
            "general": checked.fingerprint,
            "searched": searched,
            "gate": asdict(self._gate),
        }
        frame = ReportFrame(
            name=name,
            run_id=content_hash(facts)[:_DIGITS],
            settings=told,
            settings_hash=content_hash({"seed": settings.seed, **told}),
            seed=settings.seed,
            shown=settings.learning.shown_examples,
            sources=digests,
        )
        return RunTask(
            frame=frame,
            settings=settings,
            config=config,
            gate=self._gate,
            mix=strategy_mix(contents, settings),
            evaluation=given,
            general=checked,
            registry=registry,
            model_loader=self._model_loader,
        )

    # --- the run ----------------------------------------------------------------------------------------------------

    def _done(self, task: RunTask, sources: LearningSources) -> LearningReport:
        """Return the report of the run; where there is none yet, do what is left to do, alone among all of its name."""
        folder = task.settings.data_path(_FOLDER, task.name, task.run_id)
        if (report := _known_report(folder)) is not None:
            return report
        with _alone(folder.parent, task.name):
            if (report := _known_report(folder)) is not None:  # another process was faster
                return report
            try:
                return self._gone_through(task, sources, folder)
            except KeyboardInterrupt:
                _log.warning(
                    "The run was stopped; the same call goes on where it was", model=task.name, run=task.run_id
                )
                raise

    def _gone_through(self, task: RunTask, sources: LearningSources, folder: Path) -> LearningReport:
        journal = Journal(folder, self._clock)
        with (
            self._opened_log(task.settings) as decision_log,
            track("Learning", total=STAGES, unit="stages") as progress,
        ):
            generator = TrainingDataGenerator(
                task.settings,
                **{kind: getattr(sources, kind) for kind in sources.given()},
                encoder=self._encoder,
                generator=self._generator,
                decision_log=decision_log,
                source_options=sources.options,
            )
            report = LearningRun(task, generator, journal, progress).report()
            log_verdict(decision_log, report, journal)
        return write_report(report, folder, settings=task.settings)

    @contextmanager
    def _opened_log(self, settings: Settings) -> Iterator[DecisionLog]:
        """Open the decision log for a block; one that was given is its owner's."""
        if self._decision_log is not None:
            yield self._decision_log
            return
        log = open_decision_log(settings)
        try:
            yield log
        finally:
            log.close()


def _fingerprint(questions: HeldOut) -> str:
    return "none" if questions.data is None else questions.data.fingerprint


def _known_report(folder: Path) -> LearningReport | None:
    """Return the report of a run that has ended; ``None`` when there is none, or only a damaged one."""
    if not (folder / "report.json").is_file() or not (folder / "report.html").is_file():
        return None
    try:
        report = read_report(folder)
    except StorageError as error:
        _log.warning("The report of a run cannot be read, and is written again", folder=str(folder), why=str(error))
        return None
    _log.info("This run has ended already", run=folder.name, outcome=report.outcome)
    return report


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Keep other runs of a model out: two at once would be compared with one model, and the worse might come last."""
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        claim = Claim.take(path)
        if claim is None:
            _log.info("Another process learns for this model; this one waits until it is done", model=name)
            claim = Claim.wait(path)
    except OSError as error:
        raise StorageError(f"Cannot write '{folder}': {error.strerror or error}") from error
    with claim:
        yield
