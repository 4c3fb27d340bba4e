"""The decision whether a tuned model takes the place of its base."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ragtime.errors import InvalidArgumentError
from ragtime.records.base import Record, Text
from ragtime.services.model_finetuner.comparison.paired import ComparisonSummary
from ragtime.services.model_finetuner.comparison.resampling import ROUNDING, fewest_questions

__all__ = ["Decision", "Gate"]


class Decision(Record):
    """Whether to promote a model, and why; made by :meth:`Gate.decide`.

    Attributes:
        promote: Whether the tuned model takes the place of its base.
        reasons: One sentence for each condition: what was found, and what follows.
        cautions: What the data could not show; empty when there is nothing of the kind.
        target: The comparison on the held-out questions.
        general: That of the general check; ``None`` when none was made.
        alpha: Level of the tests.
        most_general_fall: Largest fall of the general check that was allowed.
        power: How often an effect was to be found, for the numbers of questions.
        questions_needed: Held-out questions, those there are included, that it takes to see a rise of the size found;
            ``None`` when it was seen, or there is none.
    """

    promote: bool
    reasons: tuple[Text, ...]
    cautions: tuple[Text, ...]
    target: ComparisonSummary
    general: ComparisonSummary | None
    alpha: float
    most_general_fall: float
    power: float
    questions_needed: int | None

    @property
    def questions_missing(self) -> int | None:
        """Held-out questions that are missing; ``None`` as for `questions_needed`."""
        return None if self.questions_needed is None else self.questions_needed - self.target.questions

    @property
    def sentence(self) -> str:
        """The decision with its reasons and cautions, to be read."""
        told = "Promote the tuned model." if self.promote else "Keep the base model."
        return " ".join((told, *self.reasons, *self.cautions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The conditions of a promotion.

        >>> Gate(most_general_fall=0.01)
        Gate(alpha=0.05, most_general_fall=0.01, power=0.8)

    The tuned model must be better on held-out questions, by a one-sided paired permutation test, and a general check
    must neither fall significantly nor by more than a limit. Equal models pass the first condition with a chance of
    `alpha`: whoever tries many models on the same questions promotes one of them by chance sooner or later, and needs
    fresh questions, or a lower level.

    Attributes:
        alpha: Level of both tests, above 0 and under 0.5.
        most_general_fall: Largest fall of the general check, in the units of its figure: 0.02 are 2 points of nDCG.
        power: How often a true effect is to be found, for the numbers of questions that reasons and cautions name.

    Raises:
        InvalidArgumentError: A number is out of range.
    """

    alpha: float = 0.05
    most_general_fall: float = 0.02
    power: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:  # noqa: PLR2004 - as documented
            raise InvalidArgumentError(f"alpha must be above 0 and under 0.5, found {self.alpha!r}")
        if not self.alpha < self.power < 1:
            raise InvalidArgumentError(f"power must be above alpha and under 1, found {self.power!r}")
        if not 0 <= self.most_general_fall < math.inf:
            raise InvalidArgumentError(f"most_general_fall must be at least 0, found {self.most_general_fall!r}")

    def decide(self, target: ComparisonSummary, general: ComparisonSummary | None = None) -> Decision:
        """Decide on a tuned model.

        Args:
            target: Base and tuned model on the held-out questions, which no training and no selection has seen.
            general: The same two models on a general check; ``None`` leaves it out, which the decision tells.

        Returns:
            The decision, with its reasons.

        Raises:
            InvalidArgumentError: The comparisons are of different models.
        """
        if general is not None:
            _check_same_models(target, general)
        better = target.difference > 0 and target.p_better <= self.alpha
        needed = None if better else self._questions_needed(target)
        reasons = [self._reason_of_target(target, better=better, needed=needed)]
        cautions = []
        passed = better
        if general is None:
            cautions.append("No general check was made: what the model has forgotten is not known.")
        else:
            unharmed, reason = self._judge_general(general)
            passed = passed and unharmed
            reasons.append(reason)
            cautions += self._blindness(general)
        return Decision(
            promote=passed,
            reasons=tuple(reasons),
            cautions=tuple(cautions),
            target=target.summary(),
            general=None if general is None else general.summary(),
            alpha=self.alpha,
            most_general_fall=self.most_general_fall,
            power=self.power,
            questions_needed=needed,
        )

    def _questions_needed(self, target: ComparisonSummary) -> int | None:
        if target.difference <= ROUNDING:
            return None
        needed = target.questions_needed(target.difference, alpha=self.alpha, power=self.power)
        if needed is None:  # all questions rose alike: only their number was too small
            return fewest_questions(self.alpha)
        # The formula is that of a normal distribution; the test has just said that these are too few.
        return max(needed, target.questions + 1)

    def _reason_of_target(self, target: ComparisonSummary, *, better: bool, needed: int | None) -> str:
        told, level, power = _told(target, target.p_better), _percent(self.alpha), _percent(self.power)
        if better:
            return f"{told}: better at the {level} level."
        if target.base_model == target.tuned_model:
            return f"{told}: both are the same model."
        if target.won + target.lost == 0:
            return f"{told}: the models are equally good at every question."
        if needed is None:
            effect = target.visible_effect(alpha=self.alpha, power=self.power)
            seen = "" if effect is None else f" A true rise of {effect:.4f} would be seen {power} of the time."
            return f"{told}: not better.{seen}"
        fewest = fewest_questions(self.alpha)
        why = "that may be chance"
        if target.won + target.lost < fewest:
            why = f"the models differ at {target.won + target.lost} questions, and fewer than {fewest} show nothing"
        return (
            f"{told}: {why} at the {level} level. To see such a rise {power} of the time takes about {needed:,} "
            f"questions: {needed - target.questions:,} are missing."
        )

    def _judge_general(self, general: ComparisonSummary) -> tuple[bool, str]:
        told = f"General check: {_told(general, general.p_worse)}"
        faults = []
        if general.difference < 0 and general.p_worse <= self.alpha:
            faults.append(f"a fall that is significant at the {_percent(self.alpha)} level")
        if -general.difference > self.most_general_fall + ROUNDING:
            faults.append(f"a fall of more than {self.most_general_fall:.4f}")
        if faults:
            return False, f"{told}: {', and '.join(faults)}."
        return True, f"{told}: no significant fall, and none of more than {self.most_general_fall:.4f}."

    def _blindness(self, general: ComparisonSummary) -> list[str]:
        checked = f"The general check has {general.questions:,} questions"
        effect = general.visible_effect(alpha=self.alpha, power=self.power)
        if effect is not None and effect > self.most_general_fall:
            return [f"{checked}: a true fall of less than {effect:.4f} may well go unseen."]
        if general.questions < fewest_questions(self.alpha):
            return [f"{checked}, too few for any fall to be significant."]
        return []


def _told(compared: ComparisonSummary, p_value: float) -> str:
    low, high = compared.interval
    return (
        f"{compared.figure} on {compared.data_name} went from {compared.base:.4f} to {compared.tuned:.4f}, by "
        f"{compared.difference:+.4f} ({_percent(compared.confidence)} interval {low:+.4f} to {high:+.4f}, one-sided "
        f"p = {p_value:.4f}, {compared.questions:,} questions)"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _check_same_models(target: ComparisonSummary, general: ComparisonSummary) -> None:
    if (target.base_model, target.tuned_model) != (general.base_model, general.tuned_model):
        raise InvalidArgumentError(
            "The general check is of other models: "
            f"{general.base_model} and {general.tuned_model} instead of {target.base_model} and {target.tuned_model}"
        )
