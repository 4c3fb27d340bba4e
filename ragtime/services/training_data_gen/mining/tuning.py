"""The positive-aware margin, as large as the yield allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["MARGINS", "TunedMargin", "tune_margin"]

MARGINS = tuple(step / 100 for step in range(5, 21))
"""The margins that are tried, by hundredths.

They begin at the 0.05 that is customary: how many queries get enough depends on the few whose positives rank far down,
hardly on the margin, so that less of one would let false negatives in and gain nothing. They end where negatives become
easy.
"""


class TunedMargin(NamedTuple):
    """A margin and what it yields.

    Attributes:
        relative_margin: The margin.
        yields: Share of the queries that get enough negatives.
        reached: Whether that is as many as wanted; if not, even the smallest margin yields too few.
    """

    relative_margin: float
    yields: float
    reached: bool


def tune_margin(yield_of: Callable[[float], float], target: float) -> TunedMargin:
    """Find the largest margin of :data:`MARGINS` that yields enough, by bisection.

    A larger margin leaves more false negatives out, and fewer candidates.

    Args:
        yield_of: Gives the share of the queries that get enough negatives under a margin; never more under a larger
            one.
        target: The share that is wanted.

    Returns:
        The margin; the smallest when none yields enough.
    """
    low, high = 0, len(MARGINS)  # enough below low, too little from high on
    while low < high:
        middle = (low + high) // 2
        if yield_of(MARGINS[middle]) >= target:
            low = middle + 1
        else:
            high = middle
    margin = MARGINS[max(0, low - 1)]
    return TunedMargin(margin, yield_of(margin), reached=low > 0)
