"""From units of work to examples: make, check, search again, drop duplicates, choose.

Units come in the order of their keyed hashes, in waves of one size, and what was made of a wave is ordered by content.
So what comes out depends on content, settings and seed alone, and a larger number of examples begins with a smaller
one.
"""

from __future__ import annotations

import json
import time
from array import array
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from ragtime.services.training_data_gen.checks import Check
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.ledger import Ledger
from ragtime.services.training_data_gen.rejected import RejectedSample
from ragtime.services.training_data_gen.staging import StagedUnit, Staging
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Strategy
from ragtime.services.training_data_gen.strategies.calling import outcomes_from
from ragtime.services.training_data_gen.tools import Tools
from ragtime.utils.hashing import text_hash
from ragtime.utils.workers import WorkerPool

__all__ = ["CHOOSE", "MAKE", "Pipeline"]

MAKE, CHOOSE = "make", "choose"
_WAVE = 64  # units; a run that asks for few examples does little more work than they need
_PART = 8  # units that a worker takes at a time
_ENOUGH = "enough examples of its query"
_NOT_NEEDED = "not needed"


class Pipeline:
    """Runs the units of a working file through a strategy and some checks.

    Attributes:
        ledger: What became of each candidate.
        rejected: Some of those that fell.
        scores: What was measured of those kept, by name.
        seconds: What each stage took.
    """

    def __init__(self, staging: Staging, tools: Tools, checks: Sequence[Check]) -> None:
        """Get ready.

        Args:
            staging: The working file, with all units.
            tools: What strategies work with.
            checks: The checks, in their order.
        """
        self._staging = staging
        self._tools = tools
        self._checks = checks
        self.ledger = Ledger([MAKE, *(check.stage for check in checks), CHOOSE])
        self.rejected = RejectedSample(tools.settings.seed)
        self.scores: dict[str, array[float]] = {}
        self.seconds: dict[str, float] = {MAKE: 0.0, **{check.stage: 0.0 for check in checks}}

    def run(self, strategy: Strategy, count: int | None) -> Iterator[TrainingExample]:
        """Make examples.

        Args:
            strategy: Makes them.
            count: How many; ``None`` means all there are.

        Yields:
            The examples, at most `count`.
        """
        produced = 0
        with WorkerPool(self._tools.settings.training_data.workers) as pool:
            for wave in self._waves(strategy):
                with self._timed(MAKE):
                    made = self._made(strategy, wave, pool)
                examples = self._admitted(strategy.name, wave, made)
                for check in self._checks:
                    with self._timed(check.stage), self._in_flight(check.stage, strategy.name, examples):
                        examples = self._checked(strategy.name, check, examples)
                waiting = deque(examples)
                with self._in_flight(CHOOSE, strategy.name, waiting):
                    while waiting and produced != count:
                        room = len(waiting) if count is None else count - produced
                        for example, fits in self._fitting(list(islice(waiting, room))):
                            waiting.popleft()
                            if not fits:
                                self._fell(CHOOSE, strategy.name, _ENOUGH, example)
                                continue
                            self.ledger.keep(CHOOSE, strategy.name)
                            produced += 1
                            yield example
                    if waiting:
                        self.ledger.reject(CHOOSE, strategy.name, _NOT_NEEDED, len(waiting))
                        waiting.clear()
                if count is not None and produced >= count:
                    return

    def _waves(self, strategy: Strategy) -> Iterator[list[StagedUnit]]:
        after = b""
        while units := self._staging.next_units(strategy.name, after, _WAVE):
            after = units[-1].key
            yield units

    def _made(self, strategy: Strategy, wave: Sequence[StagedUnit], pool: WorkerPool) -> list[list[Outcome]]:
        """Return what was made of each unit: what is in the file already, and the rest now."""
        fresh = [unit for unit in wave if unit.made is None]
        parts = [fresh[start : start + _PART] for start in range(0, len(fresh), _PART)]

        def make(part: Sequence[StagedUnit]) -> tuple[list[list[Outcome]], list[str]]:
            with self._tools.noting() as notes:
                return outcomes_from(strategy, [unit.body for unit in part], self._tools), notes

        made: dict[bytes, list[Outcome]] = {}
        for part, (results, notes) in zip(parts, pool.map(make, parts), strict=True):
            outcomes = dict(zip((unit.key for unit in part), results, strict=True))
            self._staging.keep_made(strategy.name, ((key, _told(one, notes)) for key, one in outcomes.items()))
            made.update(outcomes)
        return [made[unit.key] if unit.made is None else self._untold(unit.made) for unit in wave]

    def _untold(self, text: str) -> list[Outcome]:
        found: list[dict[str, Any]] = json.loads(text)
        for one in found:
            if "note" in one:  # of the run that was interrupted
                self._tools.note(one["note"], expected=True)
        return [
            Rejected(one["rejected"]) if "rejected" in one else TrainingExample(**one)
            for one in found
            if "note" not in one
        ]

    def _admitted(
        self, strategy: str, wave: Sequence[StagedUnit], made: Sequence[Sequence[Outcome]]
    ) -> list[TrainingExample]:
        examples: list[TrainingExample] = []
        for unit, outcome in ((unit, one) for unit, outcomes in zip(wave, made, strict=True) for one in outcomes):
            if isinstance(outcome, Rejected):
                # Of what was made before an interruption, the reason is kept, and not the example: the unit is there.
                self.ledger.reject(MAKE, strategy, outcome.reason)
                self.rejected.add_unit(MAKE, strategy, outcome.reason, unit.body)
            else:
                self.ledger.keep(MAKE, strategy)
                examples.append(outcome)
        examples = self._with_parents(examples)
        seed = self._tools.settings.seed  # without it, another seed would hardly choose others from few documents
        return sorted(examples, key=lambda example: text_hash(f"{seed} {example.id}"))

    def _with_parents(self, examples: Sequence[TrainingExample]) -> list[TrainingExample]:
        """Name in the metadata the longer documents of which passages are parts; splits keep these together."""
        parents = self._staging.parents_of({one for example in examples for one in example.lineage.document_ids})
        if not parents:
            return list(examples)
        found = [{parents[one] for one in example.lineage.document_ids if one in parents} for example in examples]
        return [
            example.model_copy(update={"metadata": {**example.metadata, "parents": sorted(own)}}) if own else example
            for example, own in zip(examples, found, strict=True)
        ]

    def _checked(self, strategy: str, check: Check, examples: Sequence[TrainingExample]) -> list[TrainingExample]:
        verdicts = check.check(examples)
        kept: list[TrainingExample] = []
        for example, verdict in zip(examples, verdicts, strict=True):
            if verdict.example is None:
                self._fell(check.stage, strategy, verdict.reason, example)
                continue
            self.ledger.keep(check.stage, strategy)
            kept.append(verdict.example)
            for name, value in verdict.scores.items():
                self.scores.setdefault(name, array("d")).append(value)
        return kept

    def _fell(self, stage: str, strategy: str, reason: str, example: TrainingExample) -> None:
        self.ledger.reject(stage, strategy, reason)
        self.rejected.add(stage, strategy, reason, query=example.query, response=example.response, weak=example.weak)

    @contextmanager
    def _in_flight(self, stage: str, strategy: str, examples: Collection[TrainingExample]) -> Iterator[None]:
        """Account for examples that are left when a stage is broken off: by an error, or a caller who has enough."""
        try:
            yield
        except BaseException as error:
            if examples:
                reason = _NOT_NEEDED if isinstance(error, GeneratorExit) else "the run was broken off"
                self.ledger.reject(stage, strategy, reason, len(examples))
            raise

    def _fitting(self, examples: Sequence[TrainingExample]) -> list[tuple[TrainingExample, bool]]:
        """Tell of each example whether there may be one more of its query."""
        most = self._tools.settings.training_data.max_examples_per_query
        times = self._staging.see_all("query", [normalize_text(example.query) for example in examples])
        return [(example, time <= most) for example, time in zip(examples, times, strict=True)]

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start


def _told(outcomes: Sequence[Outcome], notes: Sequence[str]) -> str:
    texts = [json.dumps({"note": note}) for note in notes]
    texts += [
        json.dumps({"rejected": one.reason}) if isinstance(one, Rejected) else one.model_dump_json() for one in outcomes
    ]
    return f"[{','.join(texts)}]"
