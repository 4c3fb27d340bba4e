"""The examples that a strategy starts from which changes examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ragtime.errors import GenerationError
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Outcome, Unit, get_strategy
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["base_outcomes", "outcomes_of", "rejected_units"]

_MAKERS = (
    ("query_based", ("queries", "feedback")),
    ("conversation_based", ("conversations",)),
    ("synthetic", ("documents",)),
)
_AT_ONCE = 64


def base_outcomes(sources: Reading, tools: Tools) -> Iterator[Outcome]:
    """Read the examples that were given, or make some.

    They are made of queries and ratings, or else of conversations, or else of documents: of the first there is.

    Args:
        sources: The sources.
        tools: What strategies work with.

    Yields:
        The examples, negative ones, too; and what fell on the way to them.

    Raises:
        GenerationError: There is nothing to make examples of.
    """
    if sources.has("examples"):
        yield from sources.examples()
        return
    for name, kinds in _MAKERS:
        if any(sources.has(kind) for kind in kinds):
            yield from outcomes_of(name, sources, tools)
            return
    raise GenerationError("There is nothing to start from; give examples=, queries=, feedback= or documents=")


def outcomes_of(name: str, sources: Reading, tools: Tools) -> Iterator[Outcome]:
    """Run another strategy.

    Args:
        name: Its name.
        sources: The sources.
        tools: What strategies work with.

    Yields:
        What became of each of its candidates.

    Raises:
        GenerationError: The sources lack what it needs.
    """
    strategy = get_strategy(name)
    units = list(strategy.units(sources, tools))
    for start in range(0, len(units), _AT_ONCE):
        for outcomes in strategy.make(units[start : start + _AT_ONCE], tools):
            yield from outcomes


def rejected_units(fallen: Mapping[str, int]) -> Iterator[Unit]:
    """Return a unit for each candidate that fell before there was an example to start from, so that it is counted.

    Args:
        fallen: How many fell, by reason.

    Yields:
        Units with the reason as ``rejected``.
    """
    for reason, count in fallen.items():
        for number in range(count):
            yield {"rejected": reason, "number": number}
