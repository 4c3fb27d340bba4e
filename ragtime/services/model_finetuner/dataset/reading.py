"""Training rows from whatever holds them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.records.training import Lineage, ids_by_kind
from ragtime.services.model_finetuner.dataset.candidates import Candidate, from_example, from_tuple
from ragtime.services.model_finetuner.dataset.files import open_training_file
from ragtime.services.model_finetuner.dataset.rows import DataShape, Row
from ragtime.services.model_finetuner.dataset.shapes import shape_rows
from ragtime.services.model_finetuner.dataset.tables import from_mapping
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.utils.hashing import content_hash

__all__ = ["ReadRows", "TrainingData", "read_rows"]

TrainingData: TypeAlias = (
    "str | PathLike[str] | Iterable[TrainingExample] | Iterable[Mapping[str, Any]] | Iterable[tuple[Any, ...]] "
    "| Iterable[list[Any]] | Iterable[str | PathLike[str]]"
)
"""What a model can be trained on: examples, dicts, tuples, a path or several, or a data set of Hugging Face,
which gives dicts."""

_log = get_logger(__name__)

_KINDS = "TrainingExample, dicts, tuples or lists, or paths"


@dataclass(frozen=True, slots=True)
class ReadRows:
    """The rows of a data set, and what became of all that was given.

    Attributes:
        rows: The rows, ids distinct, in the order of the ids.
        shape: What they say together.
        reason: Why this shape, in a sentence.
        given: Rows that were found; this is ``len(rows)`` and all that `dropped` counts.
        dropped: Rows that were left out, by reason.
        negatives_dropped: Negatives that were left out of rows, by reason.
        fingerprint: Hash of the rows and the shape, 64 hexadecimal digits; the same for the same rows in any order.
        dataset_ids: Data sets of ragtime that they come from, sorted.
        lineage: Ids of what they come from, sorted, by kind; the kinds are those of ``ids_by_kind``, but for data sets.
    """

    rows: list[Row]
    shape: DataShape
    reason: str
    given: int
    dropped: Mapping[str, int]
    negatives_dropped: Mapping[str, int]
    fingerprint: str
    dataset_ids: tuple[str, ...]
    lineage: Mapping[str, tuple[str, ...]]


def read_rows(data: TrainingData) -> ReadRows:
    """Read training rows; the same rows in another order give an equal result.

    The columns that dicts, files and data sets of Hugging Face may have, one name from each line, other names refused:

    ==============  =================================================================================================
    query           ``query``, ``anchor``, ``question``, ``sentence1``, ``prompt``
    response        ``response``, ``positive``, ``answer``, ``passage``, ``document``, ``sentence2``, ``chosen``;
                    ``pos``: a list, each a row of its own
    negatives       ``negative``, ``negative_1``, ``negative_2`` … and ``rejected``; ``negatives`` or ``neg``: a list
    label           ``label`` or ``score``: how well the response fits, 0 to 1 or, for all rows, 0 to 5
    teacher         ``scores``: a list, for the response and each negative; ``pos_scores`` and ``neg_scores``: lists;
                    ``score`` beside one negative: how much higher the teacher scores the response
    list            ``responses`` and ``labels`` instead: a list of texts, and a number for each
    weight          ``weight``, above 0
    together        ``texts`` (query, response, negatives …) with ``label`` or ``score``; or ``messages`` that end with
                    one of the user and one of the assistant
    unused          ``id`` and ``context``
    ==============  =================================================================================================

    What precedes a question is not part of its query; put it there yourself where it should be. Rows with any of
    ``strategy``, ``weak``, ``metadata`` and ``lineage`` are examples with all of their fields.

    The shape is found from the rows: ``scored`` when at least half of them have a teacher's scores; ``triplets`` when
    there are negatives; ``rated`` or ``graded`` when at least a quarter of the labels are 0.5 or below; else ``pairs``.
    For ``pairs`` and ``triplets``, a response that does not fit becomes a negative of the rows that share its query,
    or falls, and is counted.

    Args:
        data: Examples, dicts, tuples (``(query, response)``, with a label or negatives behind), all of one kind; a
            file, a folder that ``datasets`` saved, or a data set of ragtime (of which the part ``train`` is read), or
            several of these; a data set of Hugging Face.

    Returns:
        The rows.

    Raises:
        InvalidArgumentError: There are no training rows, kinds are mixed, columns are unknown, or a value is wrong;
            names the place. Blank texts are left out and counted instead.
        MissingExtraError: The package for a file's format is not installed.
        StorageError: A file cannot be read.
    """
    with log_operation(_log, "read_training_rows") as operation:
        dataset_ids: set[str] = set()
        tidy = _Tidy()
        for candidate in _candidates(data, dataset_ids):
            tidy.add(candidate)
        if not tidy.rows:
            raise InvalidArgumentError(_nothing_left(tidy.dropped))
        shaped = shape_rows([tidy.rows[one] for one in sorted(tidy.rows)], tidy.spare)
        if not shaped.rows:
            raise InvalidArgumentError(_nothing_left(tidy.dropped + shaped.dropped))
        ids = ids_by_kind(lineage for one in shaped.used for lineage in tidy.lineage.get(one, ()))
        dropped = dict(sorted((tidy.dropped + shaped.dropped).items()))
        read = ReadRows(
            rows=shaped.rows,
            shape=shaped.shape,
            reason=shaped.reason,
            given=tidy.given,
            dropped=dropped,
            negatives_dropped=dict(sorted((tidy.negatives_dropped + shaped.negatives_dropped).items())),
            fingerprint=_fingerprint(shaped.rows, shaped.shape),
            dataset_ids=tuple(sorted(dataset_ids | ids.pop("datasets", set()))),
            lineage={kind: tuple(sorted(some)) for kind, some in sorted(ids.items())},
        )
        operation.add(given=read.given, rows=len(read.rows), shape=read.shape, dropped=sum(dropped.values()))
    return read


def _nothing_left(dropped: Counter[str]) -> str:
    if not dropped:
        return f"There are no training rows: the data are empty; expected {_KINDS}"
    told = "; ".join(f"{count} × {reason}" for reason, count in sorted(dropped.items()))
    return f"There are no training rows left of {dropped.total()}: {told}"


# --- what was given ---------------------------------------------------------------------------------------------------


def _candidates(data: object, dataset_ids: set[str]) -> Iterator[Candidate]:
    if isinstance(data, str | PathLike):
        data = [data]
    if isinstance(data, TrainingExample | Mapping | bytes) or not isinstance(data, Iterable):
        splits = isinstance(data, Mapping) and type(data).__name__ == "DatasetDict"
        raise InvalidArgumentError(
            f"Training data must be several {_KINDS}, or a data set of Hugging Face; found {type(data).__name__}"
            f"{'; give one of its splits' if splits else ''}"
        )
    kind = None
    for number, item in enumerate(data):
        place = f"place {number}"
        found = _kind(item, place)
        kind = kind or found
        if found != kind:
            raise InvalidArgumentError(
                f"Training data must be of one kind: place 0 holds {kind}, {place} {found}; read them apart"
            )
        if kind == "a TrainingExample":
            yield from_example(item)
        elif kind == "a dict":
            yield from from_mapping(item, place)
        elif kind == "a tuple or list":
            yield from_tuple(item, place)
        else:
            file = open_training_file(Path(item))
            if file.dataset_id is not None:
                dataset_ids.add(file.dataset_id)
            for where, row in file:
                yield from from_mapping(row, where)


def _kind(item: object, place: str) -> str:
    if isinstance(item, TrainingExample):
        return "a TrainingExample"
    if isinstance(item, Mapping):
        return "a dict"
    if isinstance(item, tuple | list):
        return "a tuple or list"
    if isinstance(item, str | PathLike):
        return "a path"
    raise InvalidArgumentError(f"{place}: expected {_KINDS}; found {type(item).__name__}")


# --- what becomes of it -----------------------------------------------------------------------------------------------


class _Tidy:
    """Makes rows of candidates, and counts what falls."""

    def __init__(self) -> None:
        self.given = 0
        self.rows: dict[str, Row] = {}
        self.spare: dict[str, tuple[float, ...]] = {}
        self.lineage: defaultdict[str, list[Lineage]] = defaultdict(list)
        self.dropped: Counter[str] = Counter()
        self.negatives_dropped: Counter[str] = Counter()

    def add(self, candidate: Candidate) -> None:
        self.given += 1
        problem = _problem(candidate.query, "query") or _problem(candidate.response, "response")
        if problem is not None:
            self.dropped[problem] += 1
            return
        kept = self._negatives(candidate)
        row = Row(
            id=candidate.id or "",
            query=candidate.query,
            response=candidate.response,
            negatives=tuple(candidate.negatives[place] for place in kept),
            label=candidate.label,
            scores=_scores(candidate.scores, kept),
            weight=candidate.weight,
            groups=candidate.groups,
        )
        row = row if row.id else replace(row, id=content_hash(_content(row)))
        spare = _scores(candidate.spare_scores, kept)
        if spare is not None:
            self.spare[row.id] = spare
        if candidate.lineage is not None:
            self.lineage[row.id].append(candidate.lineage)
        twin = self.rows.get(row.id)
        if twin is not None:
            self.dropped["it stands there more than once"] += 1
            groups = tuple(sorted({*twin.groups, *row.groups}))
            row = replace(twin, weight=max(twin.weight, row.weight), groups=groups)
        self.rows[row.id] = row

    def _negatives(self, candidate: Candidate) -> list[int]:
        """Return the places of the negatives that are kept."""
        kept = []
        seen: set[str] = set()
        for place, text in enumerate(candidate.negatives):
            if text == candidate.response:
                problem: str | None = "it is the row's own response"
            elif text in seen:
                problem = "it stands in the row more than once"
            else:
                problem = _problem(text, "negative")
            seen.add(text)
            if problem is None:
                kept.append(place)
            else:
                self.negatives_dropped[problem] += 1
        return kept


def _scores(scores: tuple[float, ...] | None, kept: list[int]) -> tuple[float, ...] | None:
    return None if scores is None else (scores[0], *(scores[place + 1] for place in kept))


def _problem(text: str, name: str) -> str | None:
    if not text.strip():
        return f"the {name} is blank"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:  # which no tokenizer takes
            return f"the {name} holds lone surrogates"
    return None


def _content(row: Row) -> list[Any]:
    scores = None if row.scores is None else list(row.scores)
    return [row.query, row.response, list(row.negatives), row.label, scores]


def _fingerprint(rows: Iterable[Row], shape: DataShape) -> str:
    digest = hashlib.sha256(shape.encode())
    for row in rows:
        digest.update(json.dumps([row.id, *_content(row), row.weight, row.groups]).encode())
    return digest.hexdigest()
