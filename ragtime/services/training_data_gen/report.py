"""What a validation of examples has found."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ragtime.records.base import Identifier, Record
from ragtime.services.training_data_gen.ledger import GenerationMetrics

__all__ = ["ExampleVerdict", "ValidationReport"]


class ExampleVerdict(Record):
    """What was found about one example.

    Attributes:
        number: Its place in what was given, from 0.
        id: Its id.
        kept: Whether it is fit for training.
        stage: Where it fell; ``None`` when it is kept.
        reason: Why it fell; ``None`` when it is kept.
        duplicate_of: Id of the example that it is a duplicate of; ``None`` when it is none.
    """

    number: Annotated[int, Field(ge=0)]
    id: Identifier
    kept: bool
    stage: Identifier | None = None
    reason: str | None = None
    duplicate_of: Identifier | None = None


class ValidationReport(Record):
    """What a validation of examples has found.

    Attributes:
        valid: Whether there are examples, all of them kept, and no warning.
        verdicts: What was found about each example, in the order in which they were given.
        warnings: What is wrong with them as a whole, in words.
        metrics: The account.
    """

    valid: bool
    verdicts: tuple[ExampleVerdict, ...]
    warnings: tuple[str, ...]
    metrics: GenerationMetrics

    @property
    def kept(self) -> int:
        """How many are fit for training."""
        return sum(verdict.kept for verdict in self.verdicts)
