"""Calling strategies, which may be anybody's: what they give is checked, and what they raise names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ragtime.errors import GenerationError, RagtimeError
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Strategy, Unit
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["outcomes_from", "units_from"]

_END = object()


def units_from(strategy: Strategy, sources: Reading, tools: Tools) -> Iterator[Unit]:
    """Ask a strategy for its units.

    Args:
        strategy: The strategy.
        sources: As for ``Strategy.units``.
        tools: As for ``Strategy.units``.

    Yields:
        The units; whether JSON can hold them is not known yet.

    Raises:
        GenerationError: The sources lack what it needs, it gives something else, or it raises an error, which is the
            cause.
    """
    with _named(strategy, "units"):
        units: object = strategy.units(sources, tools)
    if not isinstance(units, Iterable):
        raise _wrong(strategy, "units", "units one by one", units)
    one_by_one = iter(units)
    while True:
        with _named(strategy, "units"):
            unit: object = next(one_by_one, _END)
        if unit is _END:
            return
        if not isinstance(unit, Mapping):
            raise _wrong(strategy, "units", "JSON objects", unit)
        yield unit


def outcomes_from(strategy: Strategy, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
    """Ask a strategy for the outcomes of some units.

    Args:
        strategy: The strategy.
        units: As for ``Strategy.make``.
        tools: As for ``Strategy.make``.

    Returns:
        The outcomes of each unit.

    Raises:
        GenerationError: It gives something else, or raises an error, which is the cause.
    """
    with _named(strategy, "make"):
        made: object = strategy.make(units, tools)
    if not isinstance(made, list | tuple):
        raise _wrong(strategy, "make", "a list with a list of outcomes for each unit", made)
    if len(made) != len(units):
        raise GenerationError(
            f"make() of the strategy {strategy.name!r} must give a list of outcomes for each of {len(units)} units; "
            f"found {len(made)}"
        )
    for outcomes in made:
        if not isinstance(outcomes, list | tuple) or isinstance(outcomes, Rejected):
            raise _wrong(strategy, "make", "a list of outcomes for each unit", outcomes)
        for outcome in outcomes:
            if not isinstance(outcome, TrainingExample | Rejected):
                raise _wrong(strategy, "make", "TrainingExample or Rejected", outcome)
            if isinstance(outcome, Rejected) and not _is_reason(outcome.reason):
                raise GenerationError(
                    f"A Rejected of the strategy {strategy.name!r} must have a reason of one line, of a few words"
                )
    return [list(outcomes) for outcomes in made]


def _is_reason(reason: object) -> bool:
    return isinstance(reason, str) and bool(reason) and reason.isprintable() and reason == reason.strip()


def _wrong(strategy: Strategy, method: str, expected: str, found: object) -> GenerationError:
    return GenerationError(
        f"{method}() of the strategy {strategy.name!r} must give {expected}; found {type(found).__name__}"
    )


@contextmanager
def _named(strategy: Strategy, method: str) -> Iterator[None]:
    """Name the strategy in errors that are not the library's; they are the cause, for their text may hold anything."""
    try:
        yield
    except RagtimeError:
        raise
    except Exception as error:
        raise GenerationError(f"{method}() of the strategy {strategy.name!r} failed: {type(error).__name__}") from error
