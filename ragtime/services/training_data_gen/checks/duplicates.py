"""Examples that are the same, or nearly so."""

from __future__ import annotations

from collections.abc import Sequence

from ragtime.services.training_data_gen.checks.verdict import Verdict
from ragtime.services.training_data_gen.dedup import DedupIndex, Duplicate
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.staging import Staging
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["DuplicateCheck", "ExactCheck"]

_SAME = "it is there already"
_REPEATS = "it nearly repeats another one"
_POSITIVE = 0.5


class ExactCheck:
    """Drops examples that are the same in query, response, context, negatives and label."""

    stage = "duplicates"

    def __init__(self, staging: Staging) -> None:
        """Remember in a working file what was seen."""
        self._staging = staging

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether it is new; see ``Check``."""
        with self._staging.transaction():
            return [
                Verdict(example)
                if self._staging.see("example", example.id) == 1
                else Verdict(None, _SAME, keeper=example.id)
                for example in examples
            ]


class DuplicateCheck:
    """Drops examples that repeat another one: nearly the same query for one passage, or passage for one query.

    The first of them in the order of the run is kept, whatever the order of the input was. Two questions about
    different passages are no duplicates, however alike they are; nor are those with different labels or negatives that
    a strategy has added on purpose, as those of ``negative_sampling``, unless the pair itself is the same.
    """

    stage = "duplicates"

    def __init__(self, tools: Tools, staging: Staging) -> None:
        """Remember in a folder beside the working file what was kept.

        Args:
            tools: The settings.
            staging: The working file.
        """
        threshold = tools.settings.training_data.duplicate_similarity
        self._exact = ExactCheck(staging)
        self._queries = DedupIndex.open(staging.fresh_folder("queries"), threshold=threshold)
        self._passages = DedupIndex.open(staging.fresh_folder("passages"), threshold=threshold)

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether it repeats another one; see ``Check``."""
        verdicts = self._exact.check(examples)
        left = [example for example, verdict in zip(examples, verdicts, strict=True) if verdict.example is not None]
        repeated: dict[str, Duplicate] = {}
        for index, key, text in ((self._queries, "response", "query"), (self._passages, "query", "response")):
            found = index.add(
                ((example.id, getattr(example, text)) for example in left),
                scopes=[f"{example.label > _POSITIVE} {normalize_text(getattr(example, key))}" for example in left],
            )
            repeated.update((one.id, one) for one in found if isinstance(one, Duplicate))
            left = [example for example in left if example.id not in repeated]
        for number, example in enumerate(examples):
            if verdicts[number].example is not None and example.id in repeated:
                one = repeated[example.id]
                reason = _REPEATS if one.rung == "minhash" else _SAME
                verdicts[number] = Verdict(None, reason, {"duplicate_similarity": one.similarity}, keeper=one.of)
        return verdicts
