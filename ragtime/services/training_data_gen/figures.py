"""Figures about the examples of a run, gathered one by one."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.ledger import Balance, Diversity
from ragtime.services.training_data_gen.staging import Staging
from ragtime.utils.stems import stems_of

__all__ = ["Figures", "peak_memory_bytes"]

_AT_ONCE = 256  # examples whose texts are looked up in one transaction


class Figures:
    """Counts kinds and differences; what it remembers of texts rests in the working file, but for the vocabulary."""

    def __init__(self, staging: Staging) -> None:
        """Start at zero."""
        self._staging = staging
        self._kinds: Counter[str] = Counter()
        self._strategies: Counter[str] = Counter()
        self._vocabulary: set[str] = set()
        self._stems = 0
        self._waiting: list[TrainingExample] = []
        self.count = 0

    def add(self, example: TrainingExample) -> None:
        """Count an example."""
        self.count += 1
        self._kinds["positive" if example.is_positive else "negative"] += 1
        self._kinds["weak"] += example.weak
        self._kinds["with_negatives"] += bool(example.negatives)
        self._strategies[example.strategy or "-"] += 1
        stems = stems_of(example.query)
        self._stems += len(stems)
        self._vocabulary.update(stems)
        self._waiting.append(example)
        if len(self._waiting) >= _AT_ONCE:
            self._count_new()

    def _count_new(self) -> None:
        for kind, texts in (
            ("queries", [example.query for example in self._waiting]),
            ("responses", [example.response for example in self._waiting]),
        ):
            self._kinds[kind] += self._staging.see_all(f"figure: {kind}", texts).count(1)
        self._waiting.clear()

    @property
    def diversity(self) -> Diversity:
        """How much they differ."""
        self._count_new()
        ratio = len(self._vocabulary) / self._stems if self._stems else 0.0
        return Diversity(
            queries=self._kinds["queries"], responses=self._kinds["responses"], type_token_ratio=round(ratio, 4)
        )

    @property
    def balance(self) -> Balance:
        """What kinds there are."""
        kinds: Mapping[str, int] = self._kinds
        return Balance(
            positive=kinds["positive"],
            negative=kinds["negative"],
            weak=kinds["weak"],
            with_negatives=kinds["with_negatives"],
            by_strategy=dict(sorted(self._strategies.items())),
        )


def peak_memory_bytes() -> int | None:
    """Return the most memory that this process has had; ``None`` where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        status = ""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
