"""Examples that are the same, or nearly so."""

from __future__ import annotations

from collections.abc import Sequence

from ragtime.services.training_data_gen.dedup import DedupIndex, Duplicate
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.staging import Staging
from ragtime.services.training_data_gen.tools import Tools
from ragtime.services.training_data_gen.verdict import Verdict

__all__ = ["DuplicateCheck", "ExactCheck"]

_SEEN = "example"
_AT_ONCE = 512
_SAME = "it is there already"
_FOLDERS = ("queries", "passages")
_REPEATS = "it nearly repeats another one"


class ExactCheck:
    """Drops examples that are the same in query, response, context, negatives and label."""

    stage = "duplicates"

    def __init__(self, staging: Staging) -> None:
        """Remember in a working file what was seen."""
        self._staging = staging

    def begin(self, kept: Sequence[TrainingExample]) -> None:
        """Forget candidates that were not needed; see ``Check``."""
        self._staging.forget_seen(_SEEN)
        self.check(kept)

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether it is new; see ``Check``."""
        times = self._staging.see_all(_SEEN, [example.id for example in examples])
        return [
            Verdict(example) if time == 1 else Verdict(None, _SAME, keeper=example.id)
            for example, time in zip(examples, times, strict=True)
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
        self._threshold = tools.settings.training_data.duplicate_similarity
        self._staging = staging
        self._exact = ExactCheck(staging)
        self._queries, self._passages = self._opened()

    def _opened(self) -> tuple[DedupIndex, DedupIndex]:
        queries, passages = (
            DedupIndex.open(self._staging.fresh_folder(name), threshold=self._threshold) for name in _FOLDERS
        )
        return queries, passages

    def begin(self, kept: Sequence[TrainingExample]) -> None:
        """Forget candidates that were not needed, or they would cost another strategy its own; see ``Check``."""
        self._queries.close()
        self._passages.close()
        self._queries, self._passages = self._opened()
        self._exact.begin([])
        for start in range(0, len(kept), _AT_ONCE):
            self.check(kept[start : start + _AT_ONCE])

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether it repeats another one; see ``Check``."""
        verdicts = self._exact.check(examples)
        left = [example for example, verdict in zip(examples, verdicts, strict=True) if verdict.example is not None]
        repeated: dict[str, Duplicate] = {}
        for index, key, text in ((self._queries, "response", "query"), (self._passages, "query", "response")):
            found = index.add(
                ((example.id, getattr(example, text)) for example in left),
                scopes=[f"{example.is_positive} {normalize_text(getattr(example, key))}" for example in left],
            )
            repeated.update((one.id, one) for one in found if isinstance(one, Duplicate))
            left = [example for example in left if example.id not in repeated]
        for number, example in enumerate(examples):
            if verdicts[number].example is not None and example.id in repeated:
                one = repeated[example.id]
                reason = _REPEATS if one.rung == "minhash" else _SAME
                verdicts[number] = Verdict(None, reason, {"duplicate_similarity": one.similarity}, keeper=one.of)
        return verdicts
