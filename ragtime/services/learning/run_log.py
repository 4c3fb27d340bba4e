"""What a decision log is told of a run of the loop: the verdict, and where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import DecisionLog
from ragtime.records.base import Record
from ragtime.services.learning.journal import Journal
from ragtime.services.learning.report import LearningReport

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["log_verdict"]

_CATEGORY = "LearningRuns"
_TAGS = ("ragtime", "learning")
_log = get_logger(__name__)


class Told(Record):
    """Whether a decision log was told.

    Attributes:
        logged: Whether it could be written.
    """

    logged: bool


def log_verdict(log: DecisionLog, report: LearningReport, journal: Journal) -> None:
    """Tell a decision log of the verdict of a run, once; where the log fails, the run goes on without it.

    Args:
        log: The decision log.
        report: The report of the run.
        journal: Knows whether that was done.

    Raises:
        StorageError: The journal cannot be written.
    """

    def tell() -> Told:
        try:
            _tell(log, report)
        except StorageError as error:
            _log.warning("The decision log cannot be written; the run goes on without it", error=type(error).__name__)
            return Told(logged=False)
        return Told(logged=True)

    journal.done("told", [report.run_id, report.outcome, report.version], tell, Told)


def _tell(log: DecisionLog, report: LearningReport) -> None:
    summary = {
        "promoted": f"Put {report.version} in production",
        "kept": f"Keep what is in use, and {report.version} as a candidate",
        "too_little_data": f"Train nothing for {report.name}: there is too little data",
    }[report.outcome]
    decision = log.log_decision(
        summary,
        rationale=report.sentence,
        details=f"run {report.run_id}, settings {report.settings_hash[:16]}, seed {report.seed}",
        tags=[*_TAGS, report.name],
    )
    figures: dict[str, JsonValue] = {
        model.role: {name: figure.value for name, figure in model.figures.items()} for model in report.models
    }
    value: dict[str, JsonValue] = {
        "name": report.name,
        "outcome": report.outcome,
        "version": report.version,
        "dataset": report.data.dataset_id,
        "training_pairs": report.data.training_pairs,
        "figures": figures,
    }
    data = log.log_custom_data(_CATEGORY, report.run_id, value)
    log.link(data, decision, "produced_by")
