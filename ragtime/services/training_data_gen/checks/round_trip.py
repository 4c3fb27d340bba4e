"""Whether a query finds its own passage again."""

from __future__ import annotations

from collections.abc import Sequence

from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.tools import Tools
from ragtime.services.training_data_gen.verdict import Verdict

__all__ = ["RoundTripCheck"]


class RoundTripCheck:
    """Searches the corpus for each query: where a pair was guessed, its own passage must come early, or it is no pair.

    A pair that somebody has stated, by a judgement, a rating or a citation, is kept however far down its passage comes:
    what is hard to find is worth the most in training. So are examples whose response is no passage of the corpus, and
    those that say that a passage does not fit.
    """

    stage = "round_trip"

    def __init__(self, tools: Tools) -> None:
        """Search as the run does.

        Args:
            tools: The corpus and its search.
        """
        self._tools = tools
        self._worst = tools.settings.training_data.round_trip_rank

    def begin(self, kept: Sequence[TrainingExample]) -> None:
        """Do nothing: no example counts for another; see ``Check``."""

    def check(self, examples: Sequence[TrainingExample]) -> list[Verdict]:
        """Say of each example whether its query finds its passage; see ``Check``."""
        if not self._worst:
            return [Verdict(example) for example in examples]
        known = self._tools.corpus.find([one for example in examples for one in example.lineage.document_ids])
        asked = [
            number
            for number, example in enumerate(examples)
            if example.is_positive and any(one in known for one in example.lineage.document_ids)
        ]
        verdicts = [Verdict(example) for example in examples]
        if not asked:
            return verdicts
        if self._tools.encoder is None:
            self._tools.note("No encoder was given: passages are searched by words (BM25)", expected=True)
        hits = self._tools.retriever.search([examples[number].query for number in asked], self._worst)
        for number, found in zip(asked, hits, strict=True):
            example = examples[number]
            ids = [hit.id for hit in found]
            ranks = [ids.index(one) + 1 for one in example.lineage.document_ids if one in ids]
            if ranks:
                verdicts[number] = Verdict(example, scores={"round_trip_rank": float(min(ranks))})
            elif example.weak:
                verdicts[number] = Verdict(None, "its query does not find its passage")
        return verdicts
