"""What the gate says of the tuned model, and the questions at which it differs from the model in use."""

from __future__ import annotations

from collections.abc import Sequence

from ragtime.records.base import Record
from ragtime.services.learning.held_out import HeldOut
from ragtime.services.learning.measuring import Measured, beginning, first_passages
from ragtime.services.learning.report import QuestionOutcome, RankedPassage
from ragtime.services.model_finetuner import Comparison, Decision, Gate, compare
from ragtime.services.model_finetuner.comparison import OpenedModel
from ragtime.services.training_data_gen.quality import Redactor

__all__ = ["Moved", "Verdict", "decide", "questions_moved"]

Rankings = dict[str, tuple[RankedPassage, ...]]
"""What a model finds first, by question."""


class Verdict(Record):
    """What came out of the comparison with the model in use.

    Attributes:
        decision: What the gate has decided.
        won: Questions that the tuned model answers better, the largest gain first.
        lost: Those that it answers worse, the largest loss first.
    """

    decision: Decision
    won: tuple[QuestionOutcome, ...]
    lost: tuple[QuestionOutcome, ...]


class Moved(Record):
    """The questions that moved most.

    Attributes:
        won: Their ids, the largest gain first.
        lost: Their ids, the largest loss first.
    """

    won: tuple[str, ...]
    lost: tuple[str, ...]


def decide(gate: Gate, before: Measured, tuned: Measured) -> tuple[Decision, Comparison]:
    """Ask the gate.

    Args:
        gate: The conditions.
        before: What was measured of the model in use.
        tuned: The same of the tuned model.

    Returns:
        The decision, and the comparison on the held-out questions that it goes by.

    Raises:
        InvalidArgumentError: There are too few questions.
        MissingExtraError: scipy is not installed.
    """
    target = compare(before.held_out, tuned.held_out)
    return gate.decide(target, compare(before.general, tuned.general)), target


def questions_moved(compared: Comparison, count: int) -> Moved:
    """Return the questions that gained and lost most, at most so many of each."""
    return Moved(
        won=tuple(key for key, _ in compared.largest_gains(count)),
        lost=tuple(key for key, _ in compared.largest_losses(count)),
    )


class QuestionTeller:
    """Tells what became of questions."""

    def __init__(self, held_out: HeldOut, before: Measured, tuned: Measured, figure: str) -> None:
        """Tell of these.

        Args:
            held_out: The questions.
            before: What was measured of the model in use.
            tuned: The same of the tuned model.
            figure: The figure that is told.
        """
        self._held_out = held_out
        self._figures = [
            dict(zip(one.held_out.question_ids, one.held_out.by_question[figure], strict=True))
            for one in (before, tuned)
        ]
        self._redactor = Redactor()

    def rankings(self, model: OpenedModel, moved: Moved) -> Rankings:
        """Return what a model finds first for the questions that moved."""
        return first_passages(model, self._held_out, [*moved.won, *moved.lost])

    def outcomes(self, keys: Sequence[str], before: Rankings, tuned: Rankings) -> tuple[QuestionOutcome, ...]:
        """Put together what became of some questions.

        Args:
            keys: Their ids.
            before: What the model in use finds first.
            tuned: What the tuned model finds first.

        Returns:
            The outcomes, in the same order.
        """
        data = self._held_out.data
        texts = {} if data is None else data.questions
        return tuple(
            QuestionOutcome(
                question=beginning(texts[key], self._redactor),
                before=self._figures[0][key],
                after=self._figures[1][key],
                ranking_before=before[key],
                ranking_after=tuned[key],
            )
            for key in keys
        )
