"""What callers ask for, and what they are told when they do not get it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.ledger import GenerationMetrics, StageLedger
from ragtime.services.training_data_gen.strategies import Strategy

__all__ = ["check_count", "too_few", "total_of"]


def check_count(count: object) -> None:
    """Raise InvalidArgumentError unless it is a number of examples."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InvalidArgumentError(f"count is at least 1, found {count!r}")


def total_of(strategies: Sequence[tuple[Strategy, int | None]]) -> int | None:
    """Return how many examples are asked for in all; ``None`` for all there are."""
    total = 0
    for _, count in strategies:
        if count is None:
            return None
        total += count
    return total


def too_few(strategy: str, count: int, metrics: GenerationMetrics) -> str:
    """Say how many examples there are, and why the rest fell.

    Args:
        strategy: Names of the strategies.
        count: Examples asked for.
        metrics: The account of the run.

    Returns:
        The message of a ``GenerationError``.
    """
    fell = f" Of {metrics.candidates:,} candidates fell: {_told(metrics.rejected)}." if metrics.rejected else ""
    unread = "".join(map(_unread, metrics.sources))
    return (
        f"The sources gave {metrics.produced:,} of {count:,} examples by {strategy}.{fell}{unread} "
        "Give more sources, ask for fewer examples, or take another strategy"
    )


def _unread(source: StageLedger) -> str:
    if not source.candidates:
        return f" There is no record of {source.strategy}."
    if not source.rejected:
        return ""
    some = "some cannot" if source.kept else "none can"
    return f" Of {source.candidates:,} records of {source.strategy}, {some} be used: {_told(source.rejected)}."


def _told(reasons: Mapping[str, int]) -> str:
    return "; ".join(f"{number:,} × {reason}" for reason, number in reasons.items())
