"""What the sources hold, record by record, and where those stand that cannot be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ragtime.config.settings import Settings
from ragtime.records.base import Identifier, Record, Text
from ragtime.records.retrieval import Document
from ragtime.services.learning.sources import LearningSources
from ragtime.services.training_data_gen import SourceOptions
from ragtime.services.training_data_gen.sources import BadRecord, Sources
from ragtime.services.training_data_gen.sources.fields import check_rating_field, check_turns_field
from ragtime.utils.hashing import text_hash
from ragtime.utils.progress import track

__all__ = ["PlannedSource", "RejectedRecords", "check_sources", "count_records"]

Count = Annotated[int, Field(ge=0)]

_KINDS = ("documents", "queries", "feedback", "conversations", "examples")
_NAMED = 5  # records of a reason whose place is told
_SAME_ID = "another document has its id"


class RejectedRecords(Record):
    """Records of a source that cannot be used, for one reason.

    Attributes:
        reason: Why, such as ``rating is no number``.
        count: How many.
        where: The first of them, such as ``feedback.jsonl, line 7``.
    """

    reason: Text
    count: Annotated[int, Field(ge=1)]
    where: tuple[Text, ...]


class PlannedSource(Record):
    """A source, and how much of it can be used.

    Attributes:
        kind: What it gives, such as ``feedback``.
        records: All its records; of documents, the passages that they are divided into.
        usable: Those that can be used.
        rejected: The others, the most frequent reason first.
    """

    kind: Identifier
    records: Count
    usable: Count
    rejected: tuple[RejectedRecords, ...] = ()


def check_sources(settings: Settings, sources: LearningSources) -> None:
    """Raise when a source cannot be read, or could give nothing because a field of it was named wrongly.

    Args:
        settings: Say how long a passage may be.
        sources: What was given.

    Raises:
        InvalidArgumentError: There is no such file or folder, it cannot be read or is of another kind, or no record of
            a file has the field that is to be read; says what was found instead.
    """
    options = sources.options or SourceOptions()
    sources.opened(settings)
    if (path := _path(sources.feedback)) is not None:
        check_rating_field(path, rating_field=options.rating_field, rating_scale=options.rating_scale)
    if (path := _path(sources.conversations)) is not None:
        check_turns_field(path, turns_field=options.turns_field)


def _path(given: object) -> Path | None:
    return Path(given) if isinstance(given, str | os.PathLike) else None


def count_records(sources: Sources) -> tuple[PlannedSource, ...]:
    """Read all sources once, and count.

    Args:
        sources: The sources, opened.

    Returns:
        The counts of each that is there.

    Raises:
        StorageError: A folder in the layout of BEIR is damaged.
    """
    counted = []
    with track("Reading sources", unit="records") as progress:
        for kind in _KINDS:
            if (read := getattr(sources, kind)) is None:
                continue
            tally = _Tally(kind)
            for record in read():
                tally.add(record)
                progress.advance()
            counted.append(tally.counted())
    return tuple(counted)


class _Tally:
    """Counts the records of one source."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._usable = 0
        self._places: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._texts: dict[str, str] = {}  # of documents: hash by id

    def add(self, record: object) -> None:
        """Count a record."""
        if isinstance(record, BadRecord):
            self._reject(record.reason, record.where)
        elif isinstance(record, Document) and self._is_another(record):
            self._reject(_SAME_ID, None)
        else:
            self._usable += 1

    def _is_another(self, document: Document) -> bool:
        digest = text_hash(document.model_dump_json())
        return self._texts.setdefault(document.id, digest) != digest

    def _reject(self, reason: str, where: str | None) -> None:
        self._counts[reason] = self._counts.get(reason, 0) + 1
        places = self._places.setdefault(reason, [])
        if where is not None and len(places) < _NAMED:
            places.append(where)

    def counted(self) -> PlannedSource:
        """Return the counts."""
        rejected = sorted(self._counts.items(), key=lambda one: (-one[1], one[0]))
        return PlannedSource(
            kind=self._kind,
            records=self._usable + sum(self._counts.values()),
            usable=self._usable,
            rejected=tuple(
                RejectedRecords(reason=reason, count=count, where=tuple(self._places[reason]))
                for reason, count in rejected
            ),
        )
