"""Examples that are the same, or nearly so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragtime.services.training_data_gen.checks.meaning import SameMeaning
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
_MEANINGS = "meanings"
_REPEATS = "it nearly repeats another one"
_MEANS = "its query means the same as another one of its passage"


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

    With an encoder, queries for one passage are also compared by their vectors: from a cosine of 0.95 they mean the
    same. What was made of other examples is not, for its queries are variations on purpose. A `duplicate_similarity` of
    1 leaves only what has the same words, and no vectors are made.
    """

    stage = "duplicates"

    def __init__(self, tools: Tools, staging: Staging) -> None:
        """Remember in a folder beside the working file what was kept.

        Args:
            tools: The settings.
            staging: The working file.
        """
        self._threshold = tools.settings.training_data.duplicate_similarity
        self._encoder = tools.encoder if self._threshold < 1 else None
        self._staging = staging
        self._exact = ExactCheck(staging)
        self._queries, self._passages = self._opened()
        self._meanings = self._opened_meanings()
        self._fallen: dict[str, str] = {}

    def _opened(self) -> tuple[DedupIndex, DedupIndex]:
        queries, passages = (
            # What a crash of the machine takes with it, the next run makes anew.
            DedupIndex.open(self._staging.fresh_folder(name), threshold=self._threshold, durable=False)
            for name in _FOLDERS
        )
        return queries, passages

    def _opened_meanings(self) -> SameMeaning | None:
        if self._encoder is None:
            return None
        return SameMeaning(self._encoder, self._staging.fresh_folder(_MEANINGS))

    def begin(self, kept: Sequence[TrainingExample]) -> None:
        """Forget candidates that were not needed, or they would cost another strategy its own; see ``Check``."""
        self._queries.close()
        self._passages.close()
        if self._meanings is not None:
            self._meanings.close()
        self._queries, self._passages = self._opened()
        self._meanings = self._opened_meanings()
        self._fallen.clear()
        self._exact.begin([])
        for start in range(0, len(kept), _AT_ONCE):
            self.check(kept[start : start + _AT_ONCE])

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether it repeats another one; see ``Check``."""
        verdicts = self._exact.check(examples)
        left = [example for example, verdict in zip(examples, verdicts, strict=True) if verdict.example is not None]
        repeated: dict[str, Verdict] = {}
        for index, key, text in ((self._queries, "response", "query"), (self._passages, "query", "response")):
            found = index.add(
                ((example.id, getattr(example, text)) for example in left),
                scopes=[_scope(example, key) for example in left],
            )
            fell = {one.id: _by_words(one) for one in found if isinstance(one, Duplicate)}
            if index is self._passages:
                self._remember(fell)
            repeated |= fell
            left = [example for example in left if example.id not in repeated]
        if self._meanings is not None:
            own = [example for example in left if not example.lineage.example_ids]
            same = self._meanings.add(own, [_scope(example, "response") for example in own])
            fell = {
                one: Verdict(None, _MEANS, {"duplicate_cosine": cosine}, keeper=keeper)
                for one, (keeper, cosine) in same.items()
            }
            self._remember(fell)
            repeated |= fell
        return [
            self._final(repeated[example.id]) if verdict.example is not None and example.id in repeated else verdict
            for example, verdict in zip(examples, verdicts, strict=True)
        ]

    def _remember(self, fell: Mapping[str, Verdict]) -> None:
        """Keep the keepers of those that an index had taken before they fell: later ones will be found like them."""
        self._fallen.update((one, verdict.keeper) for one, verdict in fell.items() if verdict.keeper is not None)

    def _final(self, verdict: Verdict) -> Verdict:
        """Name the keeper that was kept in the end."""
        keeper = verdict.keeper
        while keeper is not None and keeper in self._fallen:
            keeper = self._fallen[keeper]
        return verdict._replace(keeper=keeper)


def _scope(example: TrainingExample, key: str) -> str:
    return f"{example.is_positive} {normalize_text(getattr(example, key))}"


def _by_words(one: Duplicate) -> Verdict:
    reason = _REPEATS if one.rung == "minhash" else _SAME
    return Verdict(None, reason, {"duplicate_similarity": one.similarity}, keeper=one.of)
