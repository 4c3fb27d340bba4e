"""The examples that a strategy starts from which changes examples."""

from __future__ import annotations

from collections.abc import Iterator

from ragtime.errors import GenerationError
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import get_strategy
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["base_examples"]

_MAKERS = (
    ("query_based", ("queries", "feedback")),
    ("conversation_based", ("conversations",)),
    ("synthetic", ("documents",)),
)
_AT_ONCE = 64


def base_examples(sources: Reading, tools: Tools) -> Iterator[TrainingExample]:
    """Read the examples that were given, or make some.

    They are made of queries and ratings, or else of conversations, or else of documents: of the first there is.

    Args:
        sources: The sources.
        tools: What strategies work with.

    Yields:
        The examples; negative ones, too.

    Raises:
        GenerationError: There is nothing to make examples of.
    """
    if sources.has("examples"):
        yield from sources.examples()
        return
    for name, kinds in _MAKERS:
        if any(sources.has(kind) for kind in kinds):
            strategy = get_strategy(name)
            units = list(strategy.units(sources, tools))
            for start in range(0, len(units), _AT_ONCE):
                for outcomes in strategy.make(units[start : start + _AT_ONCE], tools):
                    yield from (one for one in outcomes if isinstance(one, TrainingExample))
            return
    raise GenerationError("There is nothing to start from; give examples=, queries=, feedback= or documents=")
