"""The course of the learning rate: a function of the step, so that there is no state to lose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ragtime.errors import InvalidArgumentError

__all__ = ["Schedule"]

_MOST_WARM_UP = 0.1  # of the run: short ones would never arrive at their learning rate


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the learning rate rises and falls.

    Attributes:
        kind: Its course after warm-up: level, or down to nothing in a line or half a cosine.
        peak: The rate at the end of warm-up.
        steps: Steps of the whole run.
        warmup: Steps in which it rises in a line.
    """

    kind: Literal["constant", "linear", "cosine"]
    peak: float
    steps: int
    warmup: int = 0

    @classmethod
    def capped(
        cls, kind: Literal["constant", "linear", "cosine"], peak: float, steps: int, warmup: int | None
    ) -> Schedule:
        """Make a schedule whose warm-up is at most a tenth of the run.

        Args:
            kind: The course after warm-up.
            peak: The rate at the end of warm-up.
            steps: Steps of the whole run.
            warmup: Steps of warm-up asked for; ``None`` means the tenth.

        Returns:
            The schedule.
        """
        most = int(_MOST_WARM_UP * steps)
        return cls(kind, peak, steps, most if warmup is None else min(warmup, most))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step.

        Args:
            step: Steps taken before it, from 0.

        Returns:
            The rate, above 0 and at most the peak.

        Raises:
            InvalidArgumentError: There is no such step.
        """
        if not 0 <= step < self.steps:
            raise InvalidArgumentError(f"step must be 0 to {self.steps - 1}, found {step}")
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        done = (step - self.warmup) / (self.steps - self.warmup)
        if self.kind == "linear":
            return self.peak * (1 - done)
        return self.peak * (1 + math.cos(math.pi * done)) / 2 if self.kind == "cosine" else self.peak
