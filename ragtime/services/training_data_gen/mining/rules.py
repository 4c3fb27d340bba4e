"""Why a passage does not become a negative."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from ragtime.services.training_data_gen.mining.options import MiningOptions
from ragtime.services.training_data_gen.mining.task import Labels, MiningTask, Pairs, Vectors
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = [
    "ELIGIBLE",
    "Codes",
    "Exclusions",
    "Rejection",
    "among",
    "apply_limits",
    "code_of",
    "excluded_copies",
    "margin_thresholds",
]

Codes: TypeAlias = "npt.NDArray[np.int8]"

ELIGIBLE = -1
"""The code of a candidate that nothing speaks against; all others are positions in :class:`Rejection`."""


class Rejection(StrEnum):
    """The reasons; the first one that holds counts."""

    POSITIVE = "is_positive"
    COPY_OF_POSITIVE = "copy_of_positive"
    KNOWN_NEGATIVE = "known_negative"
    SIBLING_POSITIVE = "positive_of_near_duplicate_query"
    ABSOLUTE_MARGIN = "within_absolute_margin"
    RELATIVE_MARGIN = "within_relative_margin"
    ABOVE_MAX_SCORE = "above_max_score"
    BELOW_MIN_SCORE = "below_min_score"
    RELABELLED = "relabelled_as_positive"
    BEFORE_RANGE_MIN = "before_range_min"
    NOT_CHOSEN = "not_chosen"
    OUTSIDE_WINDOW = "outside_window"
    COPY = "copy_of_another_passage"


_CODES = {reason: number for number, reason in enumerate(Rejection)}


def code_of(reason: Rejection) -> int:
    """Return the number that stands for a reason in arrays."""
    return _CODES[reason]


class Exclusions:
    """Which passages cannot be negatives of which query, whatever their scores.

    Attributes:
        most: The largest number of passages that are excluded for one query.
    """

    def __init__(self, task: MiningTask, positives: Pairs, representatives: Labels) -> None:
        """Collect them; `representatives` gives for each passage the one that stands for it."""
        self._size = len(task.corpus)
        stands_for = representatives[positives.passages]
        itself = stands_for == positives.passages
        known = Pairs(task.known_negatives or [()] * len(task.queries), self._size, name="known_negatives")
        self._own = [
            (Rejection.POSITIVE, self._keys(positives.queries[itself], stands_for[itself])),
            (Rejection.COPY_OF_POSITIVE, self._keys(positives.queries[~itself], stands_for[~itself])),
            (Rejection.KNOWN_NEGATIVE, self._keys(known.queries, representatives[known.passages])),
        ]
        self.most = positives.most + known.most
        self._groups, self._of_groups = np.empty(0, np.int64), np.empty(0, np.int64)
        if task.query_groups is not None:
            self._groups = np.unique(task.query_groups, return_inverse=True)[1].reshape(-1)
            self._of_groups = self._keys(self._groups[positives.queries], stands_for)
            self.most += int(np.bincount(self._of_groups // self._size).max())

    def _keys(self, rows: Labels, passages: Labels) -> Labels:
        return np.unique(rows * self._size + passages)

    def codes(self, queries: Labels, passages: npt.NDArray[np.integer]) -> Codes:
        """Tell what is excluded.

        Args:
            queries: Positions of queries.
            passages: Positions of passages to go with them, of a shape that `queries` broadcasts to.

        Returns:
            The codes of the reasons, of the shape of `passages`; :data:`ELIGIBLE` where there is none.
        """
        codes = np.full(passages.shape, ELIGIBLE, np.int8)
        for reason, excluded in self._own:
            found = among(queries * self._size + passages, excluded)
            codes[found & (codes == ELIGIBLE)] = code_of(reason)
        if len(self._groups):
            found = among(self._groups[queries] * self._size + passages, self._of_groups)
            codes[found & (codes == ELIGIBLE)] = code_of(Rejection.SIBLING_POSITIVE)
        return codes


def among(keys: Labels, some: Labels) -> npt.NDArray[np.bool_]:
    """Tell which of the `keys`, of any shape, stand among `some`, which ascend."""
    if not len(some):
        return np.zeros(keys.shape, np.bool_)
    return np.asarray(some[np.minimum(np.searchsorted(some, keys), len(some) - 1)] == keys)


def apply_limits(
    codes: Codes, scores: Vectors, worst: Vectors, options: MiningOptions, *, relative_margin: float | None
) -> None:
    """Write the codes of the margins and score limits where nothing else speaks against a candidate.

    Args:
        codes: Codes so far, of shape ``[q, k]``; written to.
        scores: Scores of the candidates, of the same shape.
        worst: Score of the worst positive of each query, of shape ``[q]``.
        options: The limits.
        relative_margin: The relative margin in force.
    """
    rules: list[tuple[Rejection, npt.NDArray[np.bool_]]] = []
    if options.absolute_margin is not None:
        rules.append((Rejection.ABSOLUTE_MARGIN, scores + np.float32(options.absolute_margin) > worst[:, None]))
    if relative_margin is not None:
        rules.append((Rejection.RELATIVE_MARGIN, scores > margin_thresholds(worst, relative_margin)[:, None]))
    if options.max_score is not None:
        rules.append((Rejection.ABOVE_MAX_SCORE, scores > np.float32(options.max_score)))
    if options.min_score is not None:
        rules.append((Rejection.BELOW_MIN_SCORE, scores < np.float32(options.min_score)))
    for reason, refused in rules:
        codes[refused & (codes == ELIGIBLE)] = code_of(reason)


def margin_thresholds(worst: Vectors, relative_margin: float) -> Vectors:
    """Return the highest score of a negative of each query under a relative margin.

    The margin is a share of the size of the worst positive's score, so that it lies below also when that is negative.

    Args:
        worst: Score of the worst positive of each query, of shape ``[q]``.
        relative_margin: The margin.

    Returns:
        The thresholds, of shape ``[q]``.
    """
    return np.subtract(worst, np.abs(worst) * relative_margin, dtype=np.float32)


def excluded_copies(groups: Labels | None, size: int) -> tuple[Labels, npt.NDArray[np.bool_] | None]:
    """Let the first passage of each group stand for the others.

    Args:
        groups: A number for each passage, the same for copies; ``None`` means that all differ.
        size: How many passages there are.

    Returns:
        For each passage the one that stands for it; and which ones are copies, ``None`` when none is.
    """
    everyone = np.arange(size)
    if groups is None:
        return everyone, None
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    representatives = first[group.reshape(-1)]
    copies = representatives != everyone
    return representatives, copies if copies.any() else None
