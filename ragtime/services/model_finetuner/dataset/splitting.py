"""Training and validation rows that share nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.services.model_finetuner.dataset.rows import Row
from ragtime.services.model_finetuner.dataset.shapes import fits
from ragtime.services.training_data_gen.dedup import group_near_duplicates
from ragtime.services.training_data_gen.splitting import SplitItem, split_by_components

__all__ = ["LEAST_QUESTIONS", "RowSplit", "split_rows"]

LEAST_QUESTIONS = 10
"""Questions that a validation part needs: of fewer, each would move a mean figure by more than a tenth."""

_log = get_logger(__name__)


class RowSplit(NamedTuple):
    """Rows in two parts.

    Attributes:
        train: What to train on, in the order given.
        validation: What to validate on, in the order given; empty when there is none.
        note: What came out otherwise than was asked for, in a sentence; ``None`` when nothing did.
    """

    train: list[Row]
    validation: list[Row]
    note: str | None


def split_rows(rows: Sequence[Row], share: float, seed: int, *, least_questions: int = LEAST_QUESTIONS) -> RowSplit:
    """Hold rows out for validation.

    Rows that share a query, a response, a near-duplicate of one of them in either place, or a group go into one part,
    and so do rows that share these with those. Negatives may stand in both parts. The order of the rows changes
    nothing but their order in the parts.

    Args:
        rows: The rows, ids distinct.
        share: Share of the rows that is held out, from 0 to under 1; 0 means none.
        seed: Another one gives another split.
        least_questions: Distinct queries with a fitting response that the part needs; when it has fewer, all rows are
            trained on, and the note says so.

    Returns:
        The parts; a note is logged, too.

    Raises:
        InvalidArgumentError: The share is out of its range, or an id stands twice.
    """
    if not 0 <= share < 1:
        raise InvalidArgumentError(f"The share of validation must be from 0 to under 1, found {share!r}")
    if share == 0:
        return RowSplit(list(rows), [], None)
    split = split_by_components(_items(rows), {"train": 1 - share, "validation": share}, seed=seed)
    train = [row for row in rows if split.parts[row.id] == "train"]
    validation = [row for row in rows if split.parts[row.id] == "validation"]
    questions = len({row.query for row in validation if fits(row)})
    note = None
    if questions < least_questions or not any(map(fits, train)):
        note = (
            f"There is no validation: of {len(rows)} rows in {split.report.components} independent groups, a share of "
            f"{share:g} holds {questions} questions, at least {least_questions} are needed"
        )
        train, validation = list(rows), []
    elif split.report.misses:
        note = f"Validation: {split.report.misses['validation']}"
    if note is not None:
        _log.warning(note, rows=len(rows), validation=len(validation))
    return RowSplit(train, validation, note)


def _items(rows: Sequence[Row]) -> list[SplitItem]:
    # Both columns together, for a text may be a query here and a response there, as in pairs of questions.
    numbers: dict[str, int] = {}
    for row in rows:
        numbers.setdefault(row.query, len(numbers))
        numbers.setdefault(row.response, len(numbers))
    groups = group_near_duplicates(list(numbers)).tolist()
    return [
        SplitItem(
            row.id,
            [f"text:{groups[numbers[text]]}" for text in (row.query, row.response)] + list(row.groups),
            "fits" if fits(row) else "does not fit",
        )
        for row in rows
    ]
