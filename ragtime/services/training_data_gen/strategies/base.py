"""What a strategy is, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ragtime.errors import InvalidArgumentError, did_you_mean
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["Outcome", "Rejected", "Strategy", "Unit", "get_strategy", "register_strategy", "strategy_names"]


class Rejected(NamedTuple):
    """A candidate that a strategy looked at and did not make an example of.

    Attributes:
        reason: Why, in a few words that are the same for all of a kind, such as ``no document is known``.
        example: What fell, where it is an example that is merely not needed: what it says of query and passage still
            holds, and strategies that start from examples go by it. ``None`` where there is none.
    """

    reason: str
    example: TrainingExample | None = None


Outcome = TrainingExample | Rejected
"""What becomes of a candidate."""

Unit = Mapping[str, Any]
"""What a strategy works on at a time: a JSON object, complete in itself but for the corpus."""


@runtime_checkable
class Strategy(Protocol):
    """A way to make examples; anything with these members will do.

    Work is split into units, which are staged on disk, and worked through in an order that depends on their content
    alone. What is made of a unit must depend on nothing but the unit, the corpus, the settings and the seed: neither on
    the units beside it nor on time, so that a run can be split among workers, stopped, and gone on with.
    """

    @property
    def name(self) -> str:
        """What callers ask for, and what stands in ``TrainingExample.strategy``."""
        ...

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:
        """Read the sources and split the work; equal units count once.

        Args:
            sources: What the caller gave.
            tools: What there is to work with; the passages are read already.

        Returns:
            The units, one by one.

        Raises:
            GenerationError: The sources lack what the strategy needs; says what to give.
        """
        ...

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Make examples of some units; called from worker threads.

        Args:
            units: The units.
            tools: What there is to work with.

        Returns:
            For each unit what became of each of its candidates, at least one.
        """
        ...


_registry: dict[str, Callable[[], Strategy]] = {}


def register_strategy(name: str, make: Callable[[], Strategy]) -> None:
    """Make a strategy known to all generators.

    Args:
        name: What callers will ask for.
        make: Returns the strategy, such as its class.

    Raises:
        InvalidArgumentError: There is one of this name.
    """
    if name in _registry:
        raise InvalidArgumentError(f"There is a strategy {name!r} already; choose another name")
    _registry[name] = make


def strategy_names() -> list[str]:
    """Return the names of all strategies, sorted."""
    return sorted(_registry)


def get_strategy(name: object) -> Strategy:
    """Return a strategy.

    Args:
        name: Its name.

    Returns:
        The strategy, made anew.

    Raises:
        InvalidArgumentError: There is none of this name; names the nearest.
    """
    make = _registry.get(name) if isinstance(name, str) else None
    if make is None:
        known = strategy_names()
        raise InvalidArgumentError(
            f"There is no strategy {str(name)[:50]!r}{did_you_mean(str(name), known)}; there are {', '.join(known)}"
        )
    return make()
