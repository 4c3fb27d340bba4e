"""Which passages answer which question, and at which ranks they were found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Numbers: TypeAlias = npt.NDArray[np.int64]
else:
    np = LazyModule("numpy")

__all__ = ["RankedAnswers", "RankingTruth"]

_MATRIX = 2  # axes
_DECIMALS = 6
_BLOCK = 1 << 23  # scores that are in memory at once


@dataclass(frozen=True, slots=True, eq=False)
class RankingTruth:
    """The passages that answer some questions; questions and passages are numbers. The arrays are read-only.

    Attributes:
        offsets: int64 of shape ``[questions + 1]``: where the answers of each question begin, and end.
        passages: int64 of shape ``[answers]``: their passages, ascending within a question.
        grades: float64 of shape ``[answers]``: how well each answers, above 0.
    """

    offsets: Numbers
    passages: Numbers
    grades: Floats

    @classmethod
    def from_judgements(cls, judgements: Iterable[Mapping[int, float]]) -> RankingTruth:
        """Collect judgements.

        Args:
            judgements: For each question the grade of each judged passage; one of 0 or less is no answer.

        Returns:
            The answers.

        Raises:
            InvalidArgumentError: A question has no answer, so that no figure is defined for it, or a grade is not
                finite.
        """
        offsets, passages, grades = [0], [], []
        for number, judged in enumerate(judgements):
            answers = sorted((passage, grade) for passage, grade in judged.items() if not grade <= 0)
            if not answers:
                raise InvalidArgumentError(f"Question {number} has no answer; leave out questions without any")
            passages += [passage for passage, _ in answers]
            grades += [grade for _, grade in answers]
            offsets.append(len(passages))
        found = cls(np.array(offsets, np.int64), np.array(passages, np.int64), np.array(grades, np.float64))
        if not np.isfinite(found.grades).all():
            raise InvalidArgumentError("Grades must be finite")
        for array in (found.offsets, found.passages, found.grades):
            array.flags.writeable = False
        return found

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> Numbers:
        """How many answers each question has: int64 of shape ``[questions]``, at least 1."""
        return np.diff(self.offsets)

    @property
    def questions(self) -> Numbers:
        """The question of each answer: int64 of shape ``[answers]``."""
        return np.repeat(np.arange(len(self)), self.counts)


@dataclass(frozen=True, slots=True, eq=False)
class RankedAnswers:
    """The ranks at which the answers of some questions were found.

    Attributes:
        questions: int64 of shape ``[found]``, ascending.
        ranks: int64 of shape ``[found]``, from 1, ascending within a question.
        grades: float64 of shape ``[found]``.
    """

    questions: Numbers
    ranks: Numbers
    grades: Floats

    @classmethod
    def from_ranking(cls, truth: RankingTruth, ranking: npt.ArrayLike) -> RankedAnswers:
        """Look the answers up in the results of a search.

        Args:
            truth: The answers.
            ranking: Whole numbers of shape ``[questions, depth]``: the passages that were found for each question, the
                best first, each once; -1 behind the last one. Ties are in the order of the search.

        Returns:
            The ranks of those that were found.

        Raises:
            InvalidArgumentError: The shape is wrong, or a question has a passage twice.
        """
        found = np.asarray(ranking)
        if found.ndim != _MATRIX or len(found) != len(truth) or (found.size and found.dtype.kind not in "iu"):
            raise InvalidArgumentError(
                f"The ranking must be whole numbers of shape [{len(truth)}, depth]; found {found.dtype} of shape "
                f"{list(found.shape)}"
            )
        found = found.astype(np.int64, copy=False)
        inner = np.sort(found, axis=1)
        if ((inner[:, 1:] == inner[:, :-1]) & (inner[:, 1:] >= 0)).any():
            raise InvalidArgumentError("The ranking of a question must have each passage once")
        # One number for each pair of question and passage, so that one search finds them all.
        width = 1 + max(found.max(initial=0), truth.passages.max(initial=0))
        known = truth.questions * width + truth.passages  # ascending
        questions, places = np.nonzero(found >= 0)
        asked = questions * width + found[questions, places]
        at = np.minimum(np.searchsorted(known, asked), max(0, len(known) - 1))
        hit = known[at] == asked if len(known) else np.zeros(len(asked), np.bool_)
        return cls(questions[hit], places[hit] + 1, truth.grades[at[hit]])

    @classmethod
    def from_embeddings(
        cls, truth: RankingTruth, queries: npt.NDArray[np.float32], passages: npt.NDArray[np.float32]
    ) -> RankedAnswers:
        """Rank all passages by cosine similarity, and find the answers in the ranking.

        Similarities are compared to six decimals, for what is behind them is rounding. Of passages that tie, those that
        do not answer come first, then those of lower grade, so that a model that gives everything one embedding scores
        as the worst, not as the best.

        Args:
            truth: The answers.
            queries: float32 of shape ``[questions, dimension]``, of unit length.
            passages: float32 of shape ``[passages, dimension]``, of unit length.

        Returns:
            The rank of every answer.
        """
        questions = truth.questions
        similar = np.empty(len(questions), np.float32)  # of each answer
        before = np.empty(len(questions), np.int64)  # passages at least as similar, itself and other answers included
        step = max(1, _BLOCK // max(1, len(passages)))
        for start in range(0, len(truth), step):
            scores = np.round(queries[start : start + step] @ passages.T, _DECIMALS)
            first, last = truth.offsets[start], truth.offsets[min(start + step, len(truth))]
            # The answers are counted a few at a time: a question with many would need its row of scores as often.
            for begin in range(first, last, step):
                some = slice(begin, min(begin + step, last))
                own = questions[some] - start
                similar[some] = scores[own, truth.passages[some]]
                before[some] = (scores[own] >= similar[some, None]).sum(axis=1)
        order = np.lexsort((truth.grades, -similar, questions))
        questions, similar, grades = questions[order], similar[order], truth.grades[order]
        place = np.arange(len(order)) - truth.offsets[questions]  # among the question's own answers
        # Answers at least as similar: all up to the last of those that tie.
        differs = (questions[1:] != questions[:-1]) | (similar[1:] != similar[:-1])
        ends = np.append(np.flatnonzero(differs), len(order) - 1) + 1
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        answers = np.repeat(ends, ends - starts) - truth.offsets[questions]
        return cls(questions, before[order] - answers + place + 1, grades)
