"""What a strategy is, and the registry of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

from ragtime.errors import GenerationError, InvalidArgumentError, RagtimeError, did_you_mean
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


_METHODS = ("units", "make")
_registry: dict[str, Callable[[], Strategy]] = {}


def register_strategy(name: str, make: Callable[[], Strategy]) -> None:
    """Make a strategy known to all generators.

    Args:
        name: What callers will ask for; the strategy has it as its ``name``, too.
        make: Returns the strategy, such as its class. It is called anew for each run, and not before.

    Raises:
        InvalidArgumentError: There is one of this name, it is no name, or `make` cannot be called, or is a class
            without what a strategy has.
    """
    if not _is_name(name):
        raise InvalidArgumentError(f"A strategy is registered under a name of one line, found {_told(name)}")
    if not callable(make):
        raise InvalidArgumentError(
            f"The strategy {name!r} is registered by its class, or by a function that makes it; found {_told(make)}"
        )
    if isinstance(make, type):
        missing = [member for member in _METHODS if not callable(getattr(make, member, None))]
        if missing:
            raise InvalidArgumentError(
                f"The class {make.__name__} is no strategy: it lacks {_methods(missing)}; see Strategy"
            )
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
        InvalidArgumentError: There is none of this name; names the nearest. Or what was registered under it makes
            no strategy of this name.
        GenerationError: It cannot be made.
    """
    make = _registry.get(name) if isinstance(name, str) else None
    if make is None:
        known = strategy_names()
        raise InvalidArgumentError(
            f"There is no strategy {str(name)[:50]!r}{did_you_mean(str(name), known)}; there are {', '.join(known)}"
        )
    try:
        made: object = make()
    except RagtimeError:
        raise
    except Exception as error:  # whatever a caller's own code raises
        raise GenerationError(f"The strategy {name!r} cannot be made: {type(error).__name__}") from error
    missing = [member for member in _METHODS if not callable(getattr(made, member, None))]
    if missing:
        raise InvalidArgumentError(
            f"What is registered as {name!r} makes no strategy: {_told(made)} lacks {_methods(missing)}; see Strategy"
        )
    own = getattr(made, "name", None)
    if own != name:
        found = "has no name" if own is None else f"is named {str(own)[:50]!r}"
        raise InvalidArgumentError(f"What is registered as {name!r} {found}; its name must be {name!r}")
    return cast("Strategy", made)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(name) and name.isprintable() and name == name.strip()


def _methods(names: Sequence[str]) -> str:
    return " and ".join(f"{name}()" for name in names)


def _told(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"an object of type {type(value).__name__}"
