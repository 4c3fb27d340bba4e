"""Examples that a data set is not for, whatever they are worth elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.verdict import Verdict
from ragtime.utils.stems import stems_of

__all__ = ["PurposeCheck"]

_RESERVED = "its query is reserved for evaluation"
_ANSWER = "its response is an answer, not a passage"
_UNFIT = "its response does not fit its query"
_ANSWERS = {"answer", "preference"}  # kinds of examples whose response somebody has said


class PurposeCheck:
    """Rejects examples of queries that are kept for evaluation, and those that are no pair of a query and its passage.

    A query is reserved when it equals one that is, but for case and spaces, or has the same words, stop words and
    endings aside, in any order: whoever has seen one of them has seen both.
    """

    stage = "purpose"

    def __init__(self, reserved: Iterable[str] = (), *, passages_only: bool = False) -> None:
        """Get ready.

        Args:
            reserved: The queries that no example may have.
            passages_only: Whether answers, preferences and responses that do not fit are rejected, too.
        """
        queries = list(reserved)
        self._texts = {normalize_text(query) for query in queries}
        self._words = {words for query in queries if (words := _words(query))}
        self._passages_only = passages_only

    @property
    def rejects(self) -> bool:
        """Whether there is anything that it rejects."""
        return bool(self._texts) or self._passages_only

    def begin(self, kept: Sequence[TrainingExample]) -> None:
        """Do nothing: no example counts for another; see ``Check``."""

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether the data set is for it; see ``Check``."""
        found = ((example, self._reason(example)) for example in examples)
        return [Verdict(None, reason) if reason else Verdict(example) for example, reason in found]

    def _reason(self, example: TrainingExample) -> str:
        original = example.metadata.get("original_query")  # of a follow-up that was completed
        queries = [example.query, *([original] if isinstance(original, str) else [])]
        if any(normalize_text(query) in self._texts or _words(query) in self._words for query in queries):
            return _RESERVED
        if not self._passages_only:
            return ""
        if example.metadata.get("kind") in _ANSWERS:
            return _ANSWER
        return "" if example.is_positive else _UNFIT


def _words(query: str) -> tuple[str, ...]:
    return tuple(sorted(stems_of(query)))
