"""Training rows before the shape of their data set is known."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

from ragtime.errors import InvalidArgumentError
from ragtime.records.training import Lineage
from ragtime.services.training_data_gen.example import TrainingExample

__all__ = ["Candidate", "as_number", "as_numbers", "as_text", "as_texts", "from_example", "from_tuple"]

_PAIR = 2
_USAGE = "(query, response), (query, response, label) or (query, response, negative, …)"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What somebody gave as a row.

    Attributes:
        query: The query; may be blank.
        response: The response; may be blank.
        negatives: The negatives; some may be blank.
        label: How well the response fits, on whatever scale; ``None`` when nobody says.
        scores: A teacher's score of the response and of each negative; ``None`` when there is no teacher.
        spare_scores: Labels of a whole list, which serve as scores where other rows have a teacher's.
        weight: How much the row counts.
        id: The id of an example; ``None`` for what has none of its own.
        groups: As of a row.
        lineage: That of an example; ``None`` when nobody knows.
    """

    query: str
    response: str
    negatives: tuple[str, ...] = ()
    label: float | None = None
    scores: tuple[float, ...] | None = None
    spare_scores: tuple[float, ...] | None = None
    weight: float = 1.0
    id: str | None = None
    groups: tuple[str, ...] = ()
    lineage: Lineage | None = None


def from_example(example: TrainingExample) -> Candidate:
    """Take a row from an example; its `context` is not part of the query."""
    return Candidate(
        query=example.query,
        response=example.response,
        negatives=example.negatives,
        label=example.label,
        weight=example.weight,
        id=example.id,
        groups=_groups(example),
        lineage=example.lineage,
    )


def _groups(example: TrainingExample) -> tuple[str, ...]:
    lineage, metadata = example.lineage, example.metadata
    parents = metadata.get("parents")
    # A document that was divided has the parts of it as passages, and may itself be named.
    documents = [*lineage.document_ids, metadata.get("parent"), *(parents if isinstance(parents, Sequence) else ())]
    found = {f"document:{one}" for one in documents if one}
    found |= {f"example:{one}" for one in (example.id, *lineage.example_ids)}
    if lineage.conversation_id is not None:
        conversations = [lineage.conversation_id, metadata.get("forked_from")]
        found |= {f"conversation:{lineage.user_id or ''}:{one}" for one in conversations if one is not None}
    return tuple(sorted(found))


def from_tuple(cells: Sequence[object], place: str) -> Candidate:
    """Take a row from a tuple or a list.

    Args:
        cells: ``(query, response)``, ``(query, response, label)`` or ``(query, response, negative, …)``.
        place: Where it stands, for messages.

    Returns:
        The row.

    Raises:
        InvalidArgumentError: It is nothing of that; names the place.
    """
    if len(cells) < _PAIR:
        raise InvalidArgumentError(f"{place}: expected {_USAGE}; found {len(cells)} items")
    query, response, *rest = cells
    texts = as_text(query, place, "the query"), as_text(response, place, "the response")
    if len(rest) == 1 and isinstance(rest[0], numbers.Real):
        return Candidate(*texts, label=as_number(rest[0], place, "the label"))
    wrong = next((one for one in rest if one is not None and not isinstance(one, str)), None)
    if wrong is not None:
        raise InvalidArgumentError(f"{place}: expected {_USAGE}; found {type(wrong).__name__} behind the response")
    return Candidate(*texts, negatives=tuple(one for one in rest if isinstance(one, str)))


def as_text(value: object, place: str, name: str) -> str:
    """Return a text; none is a blank one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{place}: {name} must be a text, found {type(value).__name__}")
    return value


def as_texts(value: object, place: str, name: str) -> tuple[str, ...]:
    """Return a list of texts, those left out that are none."""
    return tuple(as_text(one, place, f"each of {name}") for one in _list(value, place, name) if one is not None)


def as_number(value: object, place: str, name: str) -> float:
    """Return a finite number."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        found = "one that is not finite" if isinstance(value, numbers.Real) else type(value).__name__
        raise InvalidArgumentError(f"{place}: {name} must be a number, found {found}")
    return float(value)


def as_numbers(value: object, place: str, name: str) -> tuple[float, ...]:
    """Return a list of finite numbers."""
    return tuple(as_number(one, place, f"each of {name}") for one in _list(value, place, name))


def _list(value: object, place: str, name: str) -> Sequence[object]:
    if value is None:
        return ()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise InvalidArgumentError(f"{place}: {name} must be a list, found {type(value).__name__}")
    return value
