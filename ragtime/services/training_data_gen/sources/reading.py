"""Reading the sources, with an account of what could not be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from ragtime.errors import GenerationError, RagtimeError
from ragtime.monitoring.logging import get_logger
from ragtime.records.retrieval import Document
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.ledger import Ledger, StageLedger
from ragtime.services.training_data_gen.sources.items import (
    BadRecord,
    FeedbackRecord,
    JudgedQuery,
    SourceConversation,
    Sources,
)

__all__ = ["Reading", "read_records"]

T = TypeVar("T")
_READ = "read"
_NAMED = 5  # bad records of a kind that the log names

_log = get_logger(__name__)


class Reading:
    """Reads sources as often as they are asked for, and counts what each gave the first time.

    Attributes:
        origin: ``given``, or ``sample`` when the packaged sample is read for want of any other.
    """

    def __init__(self, sources: Sources) -> None:
        """Read these."""
        self._sources = sources
        self._ledger = Ledger([_READ])
        self._counted: set[str] = set()
        self.origin = sources.origin

    def has(self, kind: str) -> bool:
        """Whether there is a source of a kind: ``documents``, ``conversations``, ``queries`` and so on."""
        return getattr(self._sources, kind) is not None

    def documents(self) -> Iterator[Document]:
        """Read the passages; none when there is no such source."""
        return self._read("documents", self._sources.documents)

    def conversations(self) -> Iterator[SourceConversation]:
        """Read the conversations; none when there is no such source."""
        return self._read("conversations", self._sources.conversations)

    def queries(self) -> Iterator[JudgedQuery]:
        """Read the queries; none when there is no such source."""
        return self._read("queries", self._sources.queries)

    def feedback(self) -> Iterator[FeedbackRecord]:
        """Read the ratings; none when there is no such source."""
        return self._read("feedback", self._sources.feedback)

    def examples(self) -> Iterator[TrainingExample]:
        """Read the examples that exist already; none when there is no such source."""
        return self._read("examples", self._sources.examples)

    def counts(self) -> tuple[StageLedger, ...]:
        """Return for each source that was read how many records it had, and why some could not be used."""
        return self._ledger.stages()

    def lack(self, kind: str) -> str:
        """Say why a source that was read has nothing to work on, and what to give, for an error's message.

        Args:
            kind: Its kind, such as ``documents``.

        Returns:
            Such as ``none of the 3 records of documents can be used: 2 × text is missing; 1 × title is no text``.
        """
        counted = [stage for stage in self.counts() if stage.strategy == kind]
        if not counted:
            return f"none were given; give them as {kind}="
        (found,) = counted
        if not found.candidates:
            return f"what was given as {kind}= holds none"
        reasons = "; ".join(f"{number:,} × {reason}" for reason, number in found.rejected.items())
        return f"none of the {found.candidates:,} records of {kind} can be used: {reasons}"

    def reject(self, kind: str, reason: str) -> None:
        """Tell that a record was read and then could not be used; it counts as not used."""
        self._ledger.reject(_READ, kind, reason)
        self._ledger.keep(_READ, kind, -1)

    def _read(self, kind: str, source: Callable[[], Iterator[T | BadRecord]] | None) -> Iterator[T]:
        if source is None:
            return
        counting = kind not in self._counted
        self._counted.add(kind)
        if counting:
            self._ledger.keep(_READ, kind, 0)  # so that a source that holds nothing is named, too
        bad = 0
        for record in read_records(kind, source):
            if isinstance(record, BadRecord):
                bad += 1
                if counting:
                    self._ledger.reject(_READ, kind, record.reason)
                    if bad <= _NAMED:
                        _log.warning("A record cannot be used", source=kind, where=record.where, reason=record.reason)
                continue
            if counting:
                self._ledger.keep(_READ, kind)
            yield record


def read_records(kind: str, source: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Read a source, and name it in errors that are not the library's, such as those of a caller's own iterable.

    Args:
        kind: Its kind, such as ``documents``.
        source: Reads it.

    Yields:
        The records, those that cannot be used included.

    Raises:
        GenerationError: The source cannot be read; the error that it raised is the cause.
    """
    try:
        yield from source()
    except RagtimeError:
        raise
    except Exception as error:
        raise GenerationError(f"What was given as {kind}= cannot be read: {type(error).__name__}") from error
