"""What a decision log is told of a run: what was decided, how far it is, what came out, and what keeps failing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from ragtime.config.settings import Settings
from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import DecisionLog
from ragtime.records.decisions import ItemRef, ProgressStatus
from ragtime.services.training_data_gen.ledger import GenerationMetrics, StageLedger

__all__ = ["RunLog", "logged_run"]

T = TypeVar("T")

_log = get_logger(__name__)
_TAGS = ("ragtime", "training_data")
_CATEGORY = "TrainingRuns"
_MANY = 20  # candidates
_MOST = 0.5  # of them, from which falling for one reason is a pattern
_EXPECTED = {"not needed", "enough examples of its query"}


class RunLog:
    """Tells a decision log of one run. Where the log fails, the run goes on, and the application's log says so once."""

    def __init__(self, log: DecisionLog, run_id: str) -> None:
        """Tell this log.

        Args:
            log: The decision log.
            run_id: Identifies the run; an equal run has the same.
        """
        self._decisions = log
        self._run_id = run_id
        self._entry: ItemRef | None = None
        self._decision: ItemRef | None = None
        self._broken = False

    def begin(self, strategies: Sequence[str], requested: int | None, settings: Settings) -> None:
        """Tell that the run begins, and by what rules."""
        names = ", ".join(strategies)
        section = settings.training_data.model_dump(mode="json", exclude={"workers"})
        wanted = "as many examples as there are" if requested is None else f"{requested:,} examples"
        self._decision = self._tell(
            lambda: self._decisions.log_decision(
                f"Make {wanted} by {names}",
                rationale="; ".join(f"{name} = {value}" for name, value in section.items()),
                details=f"run {self._run_id}, seed {settings.seed}",
                tags=[*_TAGS, *strategies],
            )
        )
        self._entry = self._tell(lambda: self._decisions.log_progress(f"Training data by {names}: run {self._run_id}"))

    def end(self, status: ProgressStatus, metrics: GenerationMetrics) -> None:
        """Tell how the run ended: what each stage did, the metrics, and what keeps failing."""
        entry, decision = self._entry, self._decision
        if entry is not None:
            text = f"Training data: run {self._run_id}: {metrics.produced:,} examples"
            self._tell(lambda: self._decisions.update_progress(entry, status=status, description=text))
        names = dict.fromkeys(stage.stage for stage in metrics.stages)
        stages = [self._stage([one for one in metrics.stages if one.stage == name], status) for name in names]
        value = metrics.repeatable().model_dump(mode="json")
        data = self._tell(lambda: self._decisions.log_custom_data(_CATEGORY, self._run_id, value))
        patterns = [self._pattern(stage) for stage in metrics.stages]
        if decision is None:
            return
        for source in (data, entry, *stages, *patterns):
            if source is not None:
                self._link(source, decision)

    def _link(self, source: ItemRef, decision: ItemRef) -> None:
        self._tell(lambda: self._decisions.link(source, decision, "produced_by"))

    def _stage(self, ledgers: Sequence[StageLedger], status: ProgressStatus) -> ItemRef | None:
        """Tell how one stage ended, for all strategies."""
        kept, candidates = sum(one.kept for one in ledgers), sum(one.candidates for one in ledgers)
        text = f"Training data: run {self._run_id}: {ledgers[0].stage} kept {kept:,} of {candidates:,}"
        return self._tell(lambda: self._decisions.log_progress(text, status=status))

    def _pattern(self, stage: StageLedger) -> ItemRef | None:
        if stage.candidates < _MANY:
            return None
        for reason, count in stage.rejected.items():
            if reason not in _EXPECTED and count > _MOST * stage.candidates:
                name = f"{stage.strategy}: {stage.stage}: {reason}"
                text = f"{count:,} of {stage.candidates:,} candidates fell for this reason in run {self._run_id}"
                return self._tell(lambda: self._decisions.log_pattern(name, description=text, tags=_TAGS))  # noqa: B023 - called at once
        return None

    def _tell(self, call: Callable[[], T]) -> T | None:
        if self._broken:
            return None
        try:
            return call()
        except StorageError as error:
            self._broken = True
            _log.warning("The decision log cannot be written; the run goes on without it", error=type(error).__name__)
            return None


@contextmanager
def logged_run(
    log: DecisionLog,
    run_id: str,
    strategies: Sequence[str],
    requested: int | None,
    settings: Settings,
    metrics: Callable[[], GenerationMetrics],
) -> Iterator[None]:
    """Tell a decision log of the run in a ``with`` block.

    Args:
        log: The decision log.
        run_id: Identifies the run.
        strategies: Names of the strategies.
        requested: Examples asked for; ``None`` for all there are.
        settings: The settings.
        metrics: Returns the account of the run.

    Yields:
        Nothing.
    """
    told = RunLog(log, run_id)
    told.begin(strategies, requested, settings)
    try:
        yield
    except GeneratorExit:  # the caller has enough
        told.end("DONE", metrics())
        raise
    except BaseException:
        told.end("FAILED", metrics())
        raise
    told.end("DONE", metrics())
