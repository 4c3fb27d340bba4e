"""What mining found, and what became of everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ragtime.services.training_data_gen.mining.rules import Codes, Rejection
from ragtime.services.training_data_gen.mining.task import Labels, Vectors

__all__ = ["GRADES", "Grade", "MinedNegative", "MinedNegatives"]

Grade = Literal["hard", "in_between", "random"]
"""How hard a negative is to tell from a positive."""

GRADES: tuple[Grade, ...] = ("hard", "in_between", "random")
"""The grades, by the numbers that stand for them in arrays."""


class MinedNegative(NamedTuple):
    """A negative of a query.

    Attributes:
        position: Its position in the corpus.
        score: Its score.
        grade: How hard it is.
    """

    position: int
    score: float
    grade: Grade


@dataclass(frozen=True, slots=True, eq=False)
class MinedNegatives:
    """The negatives of all queries, and a ledger of all other passages.

    For each query, its count and its rejected passages add up to the size of the corpus.

    Attributes:
        corpus_size: Passages in the corpus.
        positions: int64 of shape ``[q, width]``: the hard ones first, then those in between, then the random ones, each
            grade by descending score; -1 after the last.
        scores: float32 of the same shape; minus infinity after the last.
        grades: int8 of the same shape, positions in :data:`GRADES`; -1 after the last.
        counts: How many negatives each query has, int64 of shape ``[q]``.
        worst_positives: Score of the worst positive of each query, float32 of shape ``[q]``.
        rejected: How many passages were not taken, by query and, in its order, :class:`Rejection`; int64 of shape
            ``[q, len(Rejection)]``.
        relabelled: Pairs of a query and a passage that the oracle called relevant, int64 of shape ``[m, 2]``, by query
            and position.
        relative_margin: The margin that was in force, tuned or given; ``None`` when there was none.
        yields: Share of the queries that got as many hard negatives as were asked for.
    """

    corpus_size: int
    positions: Labels
    scores: Vectors
    grades: Codes
    counts: Labels
    worst_positives: Vectors
    rejected: Labels
    relabelled: Labels
    relative_margin: float | None
    yields: float

    def of(self, query: int) -> list[MinedNegative]:
        """Return the negatives of the query at this position."""
        count = int(self.counts[query])
        rows = (self.positions[query, :count], self.scores[query, :count], self.grades[query, :count])
        found = zip(*(row.tolist() for row in rows), strict=True)
        return [MinedNegative(position, score, GRADES[grade]) for position, score, grade in found]

    def ledger(self) -> dict[str, int]:
        """Return how many pairs of a query and a passage there were, how many were kept, and why the others were not.

        Returns:
            ``candidates``, ``kept``, and each value of :class:`Rejection`; the first is the sum of all others.
        """
        reasons = zip(Rejection, self.rejected.sum(axis=0).tolist(), strict=True)
        rejected = {str(reason): count for reason, count in reasons}
        return {"candidates": len(self.counts) * self.corpus_size, "kept": int(self.counts.sum()), **rejected}
