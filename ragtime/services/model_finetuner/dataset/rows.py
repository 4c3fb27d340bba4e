"""Training rows: what is left of a data set once nobody has to know where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["DataShape", "Row"]

DataShape: TypeAlias = Literal["pairs", "triplets", "graded", "rated", "scored"]
"""What the rows say: only what answers (`pairs`), also what does not (`triplets`), how similar the texts are
(`graded`), good or bad (`rated`), or how a teacher scores each candidate (`scored`)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        id: Of an example its own id, else a hash of the texts and numbers; rows are put into the order of their ids.
        query: What is asked, not blank.
        response: What it should retrieve, or what it is compared with, not blank.
        negatives: What it should not retrieve.
        label: How well the response fits, 0 to 1; ``None`` when the data do not say.
        scores: A teacher's score of the response and of each negative; ``None`` when there is no teacher.
        weight: How much the row counts, above 0.
        groups: What must not be divided between training and validation, such as ``document:7``.
    """

    id: str
    query: str
    response: str
    negatives: tuple[str, ...] = ()
    label: float | None = None
    scores: tuple[float, ...] | None = None
    weight: float = 1.0
    groups: tuple[str, ...] = ()
