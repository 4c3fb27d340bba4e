"""What may become a negative, and how many of which grade."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ragtime.errors import InvalidArgumentError

__all__ = ["MiningOptions", "Sampling"]

Sampling = Literal["top", "random"]
"""Whether the best of the candidates become negatives, or some of them by keyed hash."""

_WINDOW = 10  # candidates looked at for each negative, where rules will refuse some
_TUNED_WINDOW = 50  # with fewer, queries whose positives rank far down get none, and decide what margin can be had


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningOptions:
    """How negatives are chosen.

    The first nine mean what they mean to ``sentence_transformers.util.mine_hard_negatives``, and give the same
    negatives, with ``relative_margin=None`` or a number.

    Attributes:
        num_negatives: Hard negatives of each query.
        range_min: How many of the best candidates that the rules leave are passed over.
        range_max: How many of the best candidates that the rules leave are looked at, those passed over included;
            ``None`` means as many as are needed, ten times as many where rules refuse some, and fifty times as many
            with a tuned margin.
        max_score: Highest score of a negative; ``None`` means no limit.
        min_score: Lowest score of a negative; ``None`` means no limit.
        absolute_margin: By how much a negative's score must be under that of the query's worst positive; ``None`` means
            by nothing.
        relative_margin: The same as a share of the size of that score, 0.05 for the "95 % of the positive" of
            NV-Retriever (Moreira et al., 2024). ``tuned`` means the largest margin that still gives enough negatives
            (see `target_yield`), ``None`` no margin.
        sampling: ``top`` takes the best of the candidates, ``random`` any of them by keyed hash.
        seed: Seed of all keyed choices.
        target_yield: With a tuned margin, the share of the queries that must get `num_negatives` hard negatives.
        in_between: Further negatives of each query from `in_between_range`, chosen by keyed hash.
        in_between_range: First rank, from 0 and counting every passage, and the rank before which to end.
        random: Further negatives of each query from the passages that the ranking leaves out, chosen by keyed hash.

    Raises:
        InvalidArgumentError: A value is out of its range, or the window has no room for the negatives.
    """

    num_negatives: int = 3
    range_min: int = 0
    range_max: int | None = None
    max_score: float | None = None
    min_score: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | Literal["tuned"] | None = "tuned"
    sampling: Sampling = "top"
    seed: int = 42
    target_yield: float = 0.95
    in_between: int = 0
    in_between_range: tuple[int, int] = (200, 300)
    random: int = 0

    def __post_init__(self) -> None:
        for name, least in (("num_negatives", 1), ("range_min", 0), ("in_between", 0), ("random", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InvalidArgumentError(f"{name} must be a whole number from {least}, found {value!r}")
        for name in ("max_score", "min_score", "absolute_margin", "relative_margin"):
            value = getattr(self, name)
            if value is None or (name == "relative_margin" and value == "tuned"):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InvalidArgumentError(f"{name} must be a finite number, found {value!r}")
        if self.sampling not in {"top", "random"}:
            raise InvalidArgumentError(f"sampling must be 'top' or 'random', found {self.sampling!r}")
        if not 0 < self.target_yield <= 1:
            raise InvalidArgumentError(f"target_yield must be over 0 and at most 1, found {self.target_yield!r}")
        if self.range_max is not None and self.range_max - self.range_min < self.num_negatives:
            raise InvalidArgumentError(
                f"The window from range_min={self.range_min} to range_max={self.range_max} has no room for "
                f"num_negatives={self.num_negatives}; widen it or ask for fewer"
            )
        first, last = self.in_between_range
        if not 0 <= first < last:
            raise InvalidArgumentError(f"in_between_range must run from a rank to a later one, found {first} to {last}")

    @property
    def has_rules(self) -> bool:
        """Whether a margin or a score can refuse a candidate."""
        return self._has_margin_or_maximum or self.min_score is not None

    @property
    def _has_margin_or_maximum(self) -> bool:
        limits = (self.max_score, self.absolute_margin, self.relative_margin)
        return any(limit is not None for limit in limits)

    def window(self, most_positives: int, *, rescored: bool) -> int:
        """Return how many candidates to look at: `range_max`, or what it means when it is ``None``.

        Args:
            most_positives: Positives of the query that has most of them.
            rescored: Whether scores come from a second model.

        Returns:
            Their number.
        """
        if self.range_max is not None:
            return self.range_max
        many = self._has_margin_or_maximum or (rescored and self.min_score is not None)
        each = _TUNED_WINDOW if self.relative_margin == "tuned" else _WINDOW if many else 1
        return self.range_min + self.num_negatives * each + most_positives
