"""Examples that exist already, as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ragtime.errors import GenerationError
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Outcome, Unit, register_strategy
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["GivenExamples"]


class GivenExamples:
    """Passes on the examples that were given, to be checked beside those that other strategies make.

    Each keeps what it says of itself; one that names no strategy gets the name of this one.
    """

    name = "given_examples"

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:  # noqa: ARG002 - examples are enough
        """Give a unit for each example; see ``Strategy``."""
        if not sources.has("examples"):
            raise GenerationError(
                f"The strategy {self.name!r} passes on examples, and none were given; give them as examples="
            )
        for example in sources.examples():
            yield {"example": example.model_dump(mode="json", exclude={"id"})}

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:  # noqa: ARG002 - nothing is made
        """Return the example of each unit; see ``Strategy``."""
        examples = [TrainingExample(**unit["example"]) for unit in units]
        return [
            [example if example.strategy else example.model_copy(update={"strategy": self.name})]
            for example in examples
        ]


register_strategy(GivenExamples.name, GivenExamples)
