"""A few of the candidates that fell in a run, with their texts: counts do not show whether a rule is too strict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ragtime.records.base import Identifier, Record, Text
from ragtime.services.training_data_gen.quality.personal_data import Redactor
from ragtime.utils.hashing import text_hash

__all__ = ["RejectedCandidate", "RejectedSample"]

_EACH = 3  # of a stage, a strategy and a reason
_LONGEST = 500  # characters of a text that are kept
_ASKED = ("query", "question")  # where units of work have the text that somebody asked


class RejectedCandidate(Record):
    """A candidate that fell.

    Attributes:
        stage: The stage at which it fell.
        strategy: The strategy that made it.
        reason: Why.
        query: The beginning of its query, personal data blacked out.
        response: The same of what it should have retrieved; ``None`` where it fell before there was anything.
        weak: Whether the pair was guessed.
    """

    stage: Identifier
    strategy: Identifier
    reason: Identifier
    query: Text
    response: Text | None = None
    weak: bool = False


class RejectedSample:
    """Keeps up to three candidates for each stage, strategy and reason; used by one thread.

    Which these are depends on their content and the seed, and not on the order in which they come. Candidates without
    a query, such as passages that nothing can be asked about, are not kept.
    """

    def __init__(self, seed: int) -> None:
        """Keep none yet; another seed keeps others."""
        self._seed = seed
        self._kept: dict[tuple[str, str, str], dict[str, RejectedCandidate]] = {}

    def add(
        self, stage: str, strategy: str, reason: str, *, query: str, response: str | None = None, weak: bool = False
    ) -> None:
        """Tell of a candidate that fell.

        Args:
            stage: Where.
            strategy: What made it.
            reason: Why.
            query: Its query.
            response: What it should have retrieved; ``None`` where there was nothing yet.
            weak: Whether the pair was guessed.
        """
        kept = self._kept.setdefault((stage, strategy, reason), {})
        order = text_hash(f"{self._seed}\0{query}\0{response or ''}")
        if order in kept or not query[:_LONGEST].strip():
            return
        if len(kept) >= _EACH:
            last = max(kept)
            if order > last:
                return
            del kept[last]
        kept[order] = RejectedCandidate(
            stage=stage,
            strategy=strategy,
            reason=reason,
            query=query[:_LONGEST],
            response=response[:_LONGEST] if response and response[:_LONGEST].strip() else None,
            weak=weak,
        )

    def add_unit(self, stage: str, strategy: str, reason: str, unit: Mapping[str, Any]) -> None:
        """Tell of a unit of work of which something fell before there was an example; as ``add``."""
        asked = next((unit[name] for name in _ASKED if isinstance(unit.get(name), str)), None)
        if asked is not None:
            self.add(stage, strategy, reason, query=asked)

    def candidates(self) -> tuple[RejectedCandidate, ...]:
        """Return what was kept, in the order of stages, strategies and reasons by name."""
        redactor = Redactor()
        return tuple(_redacted(one, redactor) for one in self._in_order())

    def _in_order(self) -> Iterator[RejectedCandidate]:
        for _, kept in sorted(self._kept.items()):
            for _, candidate in sorted(kept.items()):
                yield candidate


def _redacted(candidate: RejectedCandidate, redactor: Redactor) -> RejectedCandidate:
    names: dict[tuple[str, str], str] = {}
    counts: Counter[str] = Counter()
    response = None if candidate.response is None else redactor.redact(candidate.response, names, counts)
    query = redactor.redact(candidate.query, names, counts)
    return candidate.model_copy(update={"query": query, "response": response}) if counts else candidate
