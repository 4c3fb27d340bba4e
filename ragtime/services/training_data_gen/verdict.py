"""What a check is, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ragtime.services.training_data_gen.example import TrainingExample

__all__ = ["Check", "Verdict"]


class Verdict(NamedTuple):
    """What a check says of an example.

    Attributes:
        example: The example, be it changed, as where personal data were blacked out; ``None`` when it falls.
        reason: Why it falls, in a few words that are the same for all of a kind; empty when it does not.
        scores: What was measured, by name.
        keeper: Id of the example that it is a duplicate of; ``None`` when it is none.
    """

    example: TrainingExample | None
    reason: str = ""
    scores: Mapping[str, float] = {}
    keeper: str | None = None


class Check(Protocol):
    """A stage that keeps or rejects examples."""

    @property
    def stage(self) -> str:
        """Name of the stage in the ledger."""
        ...

    def begin(self, kept: Sequence[TrainingExample]) -> None:
        """Begin with the next strategy of a run; of the former ones nothing counts but the examples that were kept."""
        ...

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether it is kept; each example of a run comes once, in one order."""
        ...
