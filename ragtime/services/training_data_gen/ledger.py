"""What became of every candidate: counts that balance, and figures about what was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from ragtime.records.base import FrozenDict, Identifier, Record, freeze

__all__ = [
    "Balance",
    "Diversity",
    "GenerationMetrics",
    "Ledger",
    "Performance",
    "Quantiles",
    "StageLedger",
]

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]
_POINTS = (0.0, 0.25, 0.5, 0.75, 1.0)


class StageLedger(Record):
    """What one stage did with the candidates of one strategy.

    Attributes:
        stage: Name of the stage.
        strategy: Name of the strategy.
        candidates: How many came.
        kept: How many went on.
        rejected: How many fell, by reason; with those kept they are the candidates.
    """

    stage: Identifier
    strategy: Identifier
    candidates: Count
    kept: Count
    rejected: Annotated[Mapping[Identifier, Annotated[int, Field(ge=1)]], AfterValidator(freeze)] = Field(
        default_factory=FrozenDict
    )

    @model_validator(mode="after")
    def _balances(self) -> Self:
        if self.candidates != self.kept + sum(self.rejected.values()):
            raise ValueError("a ledger balances: candidates are those kept and those rejected")
        return self


class Quantiles(Record):
    """The spread of a score.

    Attributes:
        count: How many have it.
        minimum: The smallest.
        quarter: A quarter of them is at most this.
        median: Half of them is at most this.
        three_quarters: Three quarters of them are at most this.
        maximum: The largest.
    """

    count: Annotated[int, Field(ge=1)]
    minimum: float
    quarter: float
    median: float
    three_quarters: float
    maximum: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the quantiles of some values, at least one, without interpolation."""
        ranked = sorted(values)
        last = len(ranked) - 1
        points = [ranked[round(share * last)] for share in _POINTS]
        return cls(
            count=len(ranked),
            minimum=points[0],
            quarter=points[1],
            median=points[2],
            three_quarters=points[3],
            maximum=points[4],
        )


class Diversity(Record):
    """How much the examples differ.

    Attributes:
        queries: Different queries.
        responses: Different responses.
        type_token_ratio: Different stems among all stems of the queries.
    """

    queries: Count = 0
    responses: Count = 0
    type_token_ratio: Share = 0.0


class Balance(Record):
    """What kinds of examples there are.

    Attributes:
        positive: Those with a label above 0.5.
        negative: The others.
        weak: Those whose pair was guessed.
        with_negatives: Those with at least one passage that must not be found.
        by_strategy: Examples by strategy.
    """

    positive: Count = 0
    negative: Count = 0
    weak: Count = 0
    with_negatives: Count = 0
    by_strategy: Annotated[Mapping[Identifier, Count], AfterValidator(freeze)] = Field(default_factory=FrozenDict)


class Performance(Record):
    """What a run took; the only part of the metrics that two equal runs differ in.

    Attributes:
        seconds: The whole run.
        stage_seconds: Each stage.
        examples_per_second: Examples made in a second.
        peak_memory_bytes: Most memory of the process; ``None`` where the system does not tell.
    """

    seconds: Seconds = 0.0
    stage_seconds: Annotated[Mapping[Identifier, Seconds], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    examples_per_second: Seconds = 0.0
    peak_memory_bytes: Count | None = None


class GenerationMetrics(Record):
    """The account of a run: nothing is lost without a counted reason.

    Attributes:
        requested: Examples asked for; 0 when there was no limit.
        produced: Examples made.
        sources: What was read of each source, its kind in the place of a strategy.
        stages: What each stage did with the candidates of each strategy, in the order of the stages.
        duplicates: Examples that fell because another one is the same or nearly so.
        scores: Spread of each score, by its name.
        diversity: How much the examples differ.
        balance: What kinds there are.
        notes: What was done in another way than asked for, and why, such as a search by words for want of a model.
        performance: What the run took; ``None`` where only what two equal runs share is told.
    """

    requested: Count = 0
    produced: Count = 0
    sources: tuple[StageLedger, ...] = ()
    stages: tuple[StageLedger, ...] = ()
    duplicates: Count = 0
    scores: Annotated[Mapping[Identifier, Quantiles], AfterValidator(freeze)] = Field(default_factory=FrozenDict)
    diversity: Diversity = Diversity()
    balance: Balance = Balance()
    notes: tuple[str, ...] = ()
    performance: Performance | None = None

    @model_validator(mode="after")
    def _balances(self) -> Self:
        passed: dict[str, int] = {}
        for stage in self.stages:
            before = passed.get(stage.strategy)
            if before is not None and before != stage.candidates:
                raise ValueError("a ledger balances: what a stage keeps are the candidates of the next")
            passed[stage.strategy] = stage.kept
        if self.stages and sum(passed.values()) != self.produced:
            raise ValueError("a ledger balances: what the last stage keeps is what was produced")
        return self

    @property
    def candidates(self) -> int:
        """Candidates of the first stage of every strategy."""
        first: dict[str, int] = {}
        for stage in self.stages:
            first.setdefault(stage.strategy, stage.candidates)
        return sum(first.values())

    @property
    def rejected(self) -> dict[str, int]:
        """Candidates that fell anywhere, by reason, the most frequent reason first."""
        found: Counter[str] = Counter()
        for stage in self.stages:
            found.update(stage.rejected)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def repeatable(self) -> Self:
        """Return what two equal runs share: all but the performance."""
        return self.model_copy(update={"performance": None})


class Ledger:
    """Counts candidates as they go through the stages; used by one thread.

    A candidate is told to every stage that it reaches, as kept or rejected; the stages of a strategy must be told in
    one order.
    """

    def __init__(self, stages: Iterable[str]) -> None:
        """Count for these stages, in this order."""
        self._stages = tuple(stages)
        self._kept: Counter[tuple[str, str]] = Counter()
        self._rejected: dict[tuple[str, str], Counter[str]] = {}
        self._strategies: dict[str, None] = {}

    def keep(self, stage: str, strategy: str, count: int = 1) -> None:
        """Tell that candidates have passed a stage."""
        self._strategies[strategy] = None
        self._kept[stage, strategy] += count

    def reject(self, stage: str, strategy: str, reason: str, count: int = 1) -> None:
        """Tell that candidates have fallen at a stage, and why."""
        self._strategies[strategy] = None
        self._rejected.setdefault((stage, strategy), Counter())[reason] += count

    def stages(self) -> tuple[StageLedger, ...]:
        """Return the counts, by stage and then by name of the strategy; reasons by name."""
        return tuple(
            StageLedger(
                stage=stage,
                strategy=strategy,
                candidates=self._kept[stage, strategy] + sum(rejected.values()),
                kept=self._kept[stage, strategy],
                rejected=dict(sorted(rejected.items())),
            )
            for stage in self._stages
            for strategy in sorted(self._strategies)
            for rejected in [self._rejected.get((stage, strategy), Counter())]
        )

    def reasons(self) -> dict[str, int]:
        """Return how many fell for each reason at any stage."""
        found: Counter[str] = Counter()
        for rejected in self._rejected.values():
            found.update(rejected)
        return dict(found)
