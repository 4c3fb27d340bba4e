"""What an evaluation found: the figures of one model on one data set, and those of every question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from ragtime.errors import InvalidArgumentError
from ragtime.records.base import FrozenDict, Identifier, Record, Text, freeze

__all__ = ["EvaluationResult"]

_ROUNDING = 1e-9  # by which a mean that was computed elsewhere may differ


class EvaluationResult(Record):
    """The figures of one model on one data set.

    Attributes:
        model_id: What identifies the weights, such as a fingerprint or a version of a registry.
        model_name: What the model is called in reports.
        data_name: What the data set is called in reports.
        data_fingerprint: Hash of the questions, the passages and the judgements: results can be compared where it is
            the same.
        question_ids: The questions, ascending, each once; none where there are only figures of pairs.
        by_question: The value of every question by figure, such as ``ndcg@10``, in the order of `question_ids`.
        figures: All figures by name: the means of `by_question`, and those that only all of the data give, such as
            ``auc`` or ``spearman``.
    """

    model_id: Identifier
    model_name: Text
    data_name: Text
    data_fingerprint: Identifier
    question_ids: tuple[Identifier, ...]
    by_question: Annotated[Mapping[Identifier, tuple[float, ...]], AfterValidator(freeze)]
    figures: Annotated[Mapping[Identifier, float], AfterValidator(freeze)]

    @classmethod
    def from_questions(
        cls,
        question_ids: Iterable[str],
        by_question: Mapping[str, Sequence[float]],
        *,
        model_id: str,
        model_name: str,
        data_name: str,
        data_fingerprint: str,
        other_figures: Mapping[str, float] = FrozenDict(),
    ) -> Self:
        """Bring what was measured into order; the same questions in any order give the same result.

        Args:
            question_ids: The questions, each once.
            by_question: The value of every question by figure, in the order of `question_ids`; arrays are fine.
            model_id: What identifies the weights.
            model_name: What the model is called in reports.
            data_name: What the data set is called in reports.
            data_fingerprint: Hash of the data.
            other_figures: Figures of all of the data that are no means over questions.

        Returns:
            The result.

        Raises:
            InvalidArgumentError: A figure has more or fewer values than there are questions, or stands among the
                others, too.
            pydantic.ValidationError: A question stands twice, or a value is not finite.
        """
        ids = list(question_ids)
        order = sorted(range(len(ids)), key=ids.__getitem__)
        ordered: dict[str, tuple[float, ...]] = {}
        for name, values in by_question.items():
            if len(values) != len(ids):
                raise InvalidArgumentError(f"{name!r} has {len(values)} values for {len(ids)} questions")
            ordered[name] = tuple(float(values[place]) for place in order)
        if twice := ordered.keys() & other_figures.keys():
            raise InvalidArgumentError(f"These figures stand among the others, too: {', '.join(sorted(twice))}")
        means = {name: _mean(values) for name, values in ordered.items() if values}
        return cls(
            model_id=model_id,
            model_name=model_name,
            data_name=data_name,
            data_fingerprint=data_fingerprint,
            question_ids=tuple(ids[place] for place in order),
            by_question=ordered,
            figures={**means, **other_figures},
        )

    @property
    def questions(self) -> int:
        """How many questions there are."""
        return len(self.question_ids)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        ids = self.question_ids
        if any(first >= second for first, second in pairwise(ids)):
            raise ValueError("question_ids must be ascending, each once")
        if bool(ids) != bool(self.by_question):
            raise ValueError("there must be figures by question if, and only if, there are questions")
        for name, values in self.by_question.items():
            if len(values) != len(ids):
                raise ValueError(f"{name!r} has {len(values)} values for {len(ids)} questions")
            mean = _mean(values)
            if name not in self.figures or abs(self.figures[name] - mean) > _ROUNDING * max(1.0, abs(mean)):
                raise ValueError(f"the figure {name!r} must be the mean over the questions")
        if not self.figures:
            raise ValueError("there must be a figure")
        return self


def _mean(values: Sequence[float]) -> float:
    # Exactly rounded, so that it depends on no order and no machine.
    return math.fsum(values) / len(values)
