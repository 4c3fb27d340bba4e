"""What callers ask for, and what they are told when they do not get it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragtime.errors import InvalidArgumentError
from ragtime.services.training_data_gen.ledger import GenerationMetrics, StageLedger
from ragtime.services.training_data_gen.strategies import Strategy, get_strategy

__all__ = ["check_count", "too_few", "total_of", "wanted_strategies"]


def check_count(count: object) -> None:
    """Raise InvalidArgumentError unless it is a number of examples."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InvalidArgumentError(f"count is at least 1, found {count!r}")


def wanted_strategies(
    count: int | None, strategies: str | Sequence[str] | Mapping[str, int | None]
) -> list[tuple[Strategy, int | None]]:
    """Return the strategies of a data set, and how many examples of each.

    Args:
        count: How many in all, shared evenly; ``None`` means all there are, or what `strategies` says.
        strategies: Names of the strategies; without a count also how many of each, ``None`` for all there are.

    Returns:
        The strategies, each once, in their order.

    Raises:
        InvalidArgumentError: There is none, more than examples, or no such strategy; or a count is wrong.
    """
    if isinstance(strategies, Mapping):
        if count is not None:
            raise InvalidArgumentError("strategies says how many of each: give no count beside it")
        wanted = dict(strategies)
    else:
        wanted = dict.fromkeys([strategies] if isinstance(strategies, str) else strategies)
    if count is not None:
        check_count(count)
        if not wanted or len(wanted) > count:
            raise InvalidArgumentError(f"strategies names 1 to {count} strategies, found {len(wanted)}")
        each, more = divmod(count, len(wanted))
        wanted = {name: each + (number < more) for number, name in enumerate(wanted)}
    if not wanted:
        raise InvalidArgumentError("strategies names at least one strategy, found none")
    for number in wanted.values():
        if number is not None:
            check_count(number)
    return [(get_strategy(name), number) for name, number in wanted.items()]


def total_of(strategies: Sequence[tuple[Strategy, int | None]]) -> int | None:
    """Return how many examples are asked for in all; ``None`` for all there are."""
    total = 0
    for _, count in strategies:
        if count is None:
            return None
        total += count
    return total


def too_few(strategy: str, count: int | None, metrics: GenerationMetrics) -> str:
    """Say how many examples there are, and why the rest fell.

    Args:
        strategy: Names of the strategies.
        count: Examples asked for; ``None`` for all there are.
        metrics: The account of the run.

    Returns:
        The message of a ``GenerationError``.
    """
    fell = f" Of {metrics.candidates:,} candidates fell: {_told(metrics.rejected)}." if metrics.rejected else ""
    unread = "".join(map(_unread, metrics.sources))
    if count is None:
        return f"The sources gave no example by {strategy}.{fell}{unread} Give more sources, or take another strategy"
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
