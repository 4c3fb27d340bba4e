"""Two evaluations of the same questions, compared question by question."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from ragtime.errors import InvalidArgumentError, did_you_mean
from ragtime.records.base import Identifier, Record, Text
from ragtime.services.model_finetuner.comparison.resampling import (
    ROUNDING,
    bootstrap_interval,
    fewest_questions,
    questions_needed,
    sign_flip_test,
    visible_effect,
)
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.services.model_finetuner.comparison.results import EvaluationResult
else:
    np = LazyModule("numpy")

__all__ = ["Comparison", "ComparisonSummary", "compare"]

_FEWEST = 2
_NAMED = 3  # how many ids an error names

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class ComparisonSummary(Record):
    """What a comparison found, without its questions: for registries and reports.

    Attributes:
        base_model: Id of the one model.
        tuned_model: Id of the other.
        data_name: What the data set is called.
        data_fingerprint: Its hash.
        figure: What was compared, such as ``ndcg@10``; higher is better.
        questions: How many there are.
        won: Those at which the tuned model is better.
        lost: Those at which it is worse.
        base: Mean of the base model.
        tuned: Mean of the tuned model.
        difference: Mean of the differences, tuned minus base.
        spread: Standard deviation of the differences, with n - 1.
        confidence: Confidence of the interval.
        interval: Paired bootstrap interval (BCa) of the difference.
        p_better: One-sided p-value: how likely a rise at least as large is between equal models.
        p_worse: One-sided p-value of a fall at least as large.
        p_two_sided: p-value of a difference at least as large either way.
        exact: Whether the p-values are of all signs, not of a sample.
        resamples: Size of the samples.
        seed: What they were drawn with.
    """

    base_model: Identifier
    tuned_model: Identifier
    data_name: Text
    data_fingerprint: Identifier
    figure: Identifier
    questions: Annotated[int, Field(ge=_FEWEST)]
    won: Count
    lost: Count
    base: float
    tuned: float
    difference: float
    spread: Annotated[float, Field(ge=0.0)]
    confidence: Share
    interval: tuple[float, float]
    p_better: Share
    p_worse: Share
    p_two_sided: Share
    exact: bool
    resamples: Annotated[int, Field(ge=1)]
    seed: int

    @property
    def tied(self) -> int:
        """Questions at which both are equally good."""
        return self.questions - self.won - self.lost

    @property
    def smallest_visible_effect(self) -> float | None:
        """The true rise that a one-sided test at 5 % would have found with a power of 80 %."""
        return self.visible_effect()

    def visible_effect(self, *, alpha: float = 0.05, power: float = 0.8) -> float | None:
        """Return the smallest true rise (or fall) that these questions would have shown.

        It is ``(z(1 - alpha) + z(power)) * spread / sqrt(questions)``; the spread is that of these two models.

        Args:
            alpha: Level of the one-sided test.
            power: How often the effect is to be found.

        Returns:
            The difference; ``None`` when the questions are too few for any, or all differences are equal, for then
            nothing is known of their spread.
        """
        if not self._has_spread or self.questions < fewest_questions(alpha):
            return None
        return visible_effect(self.spread, self.questions, alpha=alpha, power=power)

    def questions_needed(self, effect: float, *, alpha: float = 0.05, power: float = 0.8) -> int | None:
        """Return how many questions would show an effect, by the formula of :meth:`visible_effect`.

        Args:
            effect: The true mean difference, above 1e-12.
            alpha: Level of the one-sided test.
            power: How often the effect is to be found.

        Returns:
            The number, those there are included; ``None`` when all differences are equal.

        Raises:
            InvalidArgumentError: The effect is out of range, or an option is.
        """
        return questions_needed(self.spread, effect, alpha=alpha, power=power) if self._has_spread else None

    def summary(self) -> ComparisonSummary:
        """Return what was found, without the questions."""
        return ComparisonSummary(**{name: getattr(self, name) for name in ComparisonSummary.model_fields})

    @property
    def _has_spread(self) -> bool:
        return self.spread > ROUNDING

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        if self.won + self.lost > self.questions:
            raise ValueError("won and lost must not be more than there are questions")
        if self.interval[0] > self.interval[1]:
            raise ValueError("interval must go from its lower to its upper end")
        return self


class Comparison(ComparisonSummary):
    """Two models compared on the same questions; made by :func:`compare`.

    Attributes:
        question_ids: The questions, ascending.
        differences: The difference of each, tuned minus base; 0 where they differ by rounding only.
    """

    question_ids: tuple[Identifier, ...]
    differences: tuple[float, ...]

    @property
    def won_questions(self) -> tuple[str, ...]:
        """The questions at which the tuned model is better, ascending."""
        return tuple(key for key, value in self._by_question if value > 0)

    @property
    def lost_questions(self) -> tuple[str, ...]:
        """The questions at which it is worse, ascending."""
        return tuple(key for key, value in self._by_question if value < 0)

    @property
    def tied_questions(self) -> tuple[str, ...]:
        """The questions at which both are equally good, ascending."""
        return tuple(key for key, value in self._by_question if value == 0)

    def largest_gains(self, count: int = 10) -> list[tuple[str, float]]:
        """Return the questions that gained most, with their differences, the largest first; none that did not gain."""
        gains = [pair for pair in self._by_question if pair[1] > 0]
        return sorted(gains, key=lambda pair: (-pair[1], pair[0]))[:count]

    def largest_losses(self, count: int = 10) -> list[tuple[str, float]]:
        """Return the questions that lost most, with their differences, the largest loss first; none that did not."""
        losses = [pair for pair in self._by_question if pair[1] < 0]
        return sorted(losses, key=lambda pair: (pair[1], pair[0]))[:count]

    @property
    def _by_question(self) -> list[tuple[str, float]]:
        return list(zip(self.question_ids, self.differences, strict=True))

    @model_validator(mode="after")
    def _questions_fit(self) -> Self:
        if not len(self.question_ids) == len(self.differences) == self.questions:
            raise ValueError("there must be an id and a difference for each question")
        if (len(self.won_questions), len(self.lost_questions)) != (self.won, self.lost):
            raise ValueError("won and lost must be those of the differences")
        return self


def compare(
    base: EvaluationResult,
    tuned: EvaluationResult,
    *,
    figure: str = "ndcg@10",
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 42,
) -> Comparison:
    """Compare two models on the same questions of the same data.

    The p-values are those of :func:`sign_flip_test`, the interval is that of :func:`bootstrap_interval`.

    Args:
        base: The figures of the base model.
        tuned: Those of the tuned model.
        figure: What to compare; one that there is for every question.
        confidence: Confidence of the interval, from 0.5 to 0.999.
        resamples: Size of the samples of the test and of the interval, at least 100.
        seed: Another one draws other samples.

    Returns:
        The comparison.

    Raises:
        InvalidArgumentError: The results are of different data or questions, of fewer than 2 questions, or without the
            figure; names what differs. Or an option is out of range.
        MissingExtraError: scipy is not installed.
    """
    _check_same_questions(base, tuned)
    values = [np.array(_values(result, figure), np.float64) for result in (base, tuned)]
    differences = values[1] - values[0]
    differences[np.abs(differences) <= ROUNDING] = 0.0
    test = sign_flip_test(differences, resamples=resamples, seed=seed)
    low, high = bootstrap_interval(differences, confidence=confidence, resamples=resamples, seed=seed)
    found = differences.tolist()
    return Comparison(
        base_model=base.model_id,
        tuned_model=tuned.model_id,
        data_name=base.data_name,
        data_fingerprint=base.data_fingerprint,
        figure=figure,
        questions=len(found),
        won=sum(value > 0 for value in found),
        lost=sum(value < 0 for value in found),
        base=base.figures[figure],
        tuned=tuned.figures[figure],
        difference=math.fsum(found) / len(found),
        spread=float(np.std(differences, ddof=1)),
        confidence=confidence,
        interval=(low, high),
        p_better=test.greater,
        p_worse=test.less,
        p_two_sided=test.two_sided,
        exact=test.exact,
        resamples=resamples,
        seed=seed,
        question_ids=base.question_ids,
        differences=tuple(found),
    )


def _values(result: EvaluationResult, figure: str) -> tuple[float, ...]:
    if figure not in result.by_question:
        known = sorted(result.by_question)
        raise InvalidArgumentError(
            f"The result of {result.model_name!r} has no figure {figure[:50]!r} by question"
            f"{did_you_mean(figure, known)}; it has {', '.join(known) or 'none'}"
        )
    return result.by_question[figure]


def _check_same_questions(base: EvaluationResult, tuned: EvaluationResult) -> None:
    if base.data_fingerprint != tuned.data_fingerprint:
        raise InvalidArgumentError(
            f"The results are of different data: {base.data_name!r} ({base.data_fingerprint[:12]}) and "
            f"{tuned.data_name!r} ({tuned.data_fingerprint[:12]}); evaluate both models on the same"
        )
    if base.question_ids != tuned.question_ids:
        first, second = set(base.question_ids), set(tuned.question_ids)
        raise InvalidArgumentError(
            "The results are of different questions: "
            f"{_listed(first - second)} of the base result only, {_listed(second - first)} of the tuned one only"
        )
    if base.questions < _FEWEST:
        raise InvalidArgumentError(f"A comparison needs at least {_FEWEST} questions, found {base.questions}")


def _listed(ids: set[str]) -> str:
    shown = sorted(ids)[:_NAMED]
    return f"{len(ids)} ({', '.join(shown)}{', …' if len(ids) > _NAMED else ''})" if ids else "none"
