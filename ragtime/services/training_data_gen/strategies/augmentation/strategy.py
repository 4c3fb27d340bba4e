"""Known queries in, other ways to ask the same out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.augmentation.paraphrase import Paraphrases
from ragtime.services.training_data_gen.strategies.augmentation.variations import GUESSED, variations_of
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Unit
from ragtime.services.training_data_gen.strategies.base_examples import base_outcomes, rejected_units
from ragtime.services.training_data_gen.text.statistics import CorpusWordsCache
from ragtime.services.training_data_gen.text.synonyms import SynonymsCache
from ragtime.services.training_data_gen.tools import Tools

__all__ = ["AugmentationStrategy"]

_RANK = 20  # worst rank at which a variation finds its passage, where the settings check none
_PARAPHRASES = 3
_LONGEST = 300  # characters of a query that is varied
_KEPT = (  # what a variation has from its example: all but how and when that was made
    "user_id",
    "conversation_id",
    "turn_ids",
    "context_turn_ids",
    "document_ids",
    "span",
    "query_id",
    "feedback_ids",
    "raters",
    "dataset_id",
)
_LOST = Rejected("the variation no longer finds its passage")
_NONE = Rejected("no other way to ask its query is known")


class AugmentationStrategy:
    """Varies the queries of examples.

    Without a language model: a question as keywords and the other way round, clauses reordered, words dropped, synonyms
    from the corpus itself, typing errors, careless spelling. With one, paraphrases as well. Each variation has to find
    the passage of its example among the first ones, or it is rejected. Of an example whose passage is not in the corpus
    this cannot be told, and is noted.
    """

    name = "augmentation"

    def __init__(self) -> None:
        """Get ready; the corpus is read at the first use."""
        self._words = CorpusWordsCache()
        self._synonyms = SynonymsCache()

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:
        """Give a unit for each example; where none were given, for those that other sources make; see ``Strategy``."""
        fallen: Counter[str] = Counter()
        for outcome in base_outcomes(sources, tools):
            if isinstance(outcome, Rejected):
                fallen[outcome.reason] += 1
            else:
                yield {"example": outcome.model_dump(mode="json")}
        yield from rejected_units(fallen)

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Vary some queries; see ``Strategy``."""
        parents = [_parent(unit) for unit in units]
        model = Paraphrases(tools, tools.generator) if tools.generator is not None else None
        varied = [[] if isinstance(parent, Rejected) else self._varied(parent, tools, model) for parent in parents]
        lost = _lost(parents, varied, tools)
        made: list[list[Outcome]] = []
        for parent, variations in zip(parents, varied, strict=True):
            if isinstance(parent, Rejected):
                made.append([parent])
                continue
            made.append(
                [
                    _LOST if (parent.id, text) in lost else _example(parent, method, text, tools)
                    for method, text in variations
                ]
                or [_NONE]
            )
        return made

    def _varied(self, parent: TrainingExample, tools: Tools, model: Paraphrases | None) -> list[tuple[str, str]]:
        found = variations_of(
            parent.query,
            self._words.of(tools.corpus),
            self._synonyms.of(tools.corpus),
            lambda method: tools.random("variation", method, parent.id),
        )
        if model is not None:
            seen = {normalize_text(parent.query), *(normalize_text(text) for _, text in found)}
            for text in model.of(parent.query, _PARAPHRASES):
                if normalize_text(text) not in seen:
                    seen.add(normalize_text(text))
                    found.append(("paraphrase", text))
        return found


def _parent(unit: Unit) -> TrainingExample | Rejected:
    if "rejected" in unit:
        return Rejected(unit["rejected"])
    example = TrainingExample(**unit["example"])
    if not example.is_positive:
        return Rejected("its response is not what its query should retrieve")
    return example if len(example.query) <= _LONGEST else Rejected("its query is too long to vary")


def _lost(
    parents: Sequence[TrainingExample | Rejected], varied: Sequence[Sequence[tuple[str, str]]], tools: Tools
) -> set[tuple[str, str]]:
    """Return those variations that do not find the passage of their example, by the example's id and their text."""
    examples = [parent for parent in parents if isinstance(parent, TrainingExample)]
    known = tools.corpus.find([one for example in examples for one in example.lineage.document_ids])
    asked: list[tuple[TrainingExample, str]] = []
    for parent, variations in zip(parents, varied, strict=True):
        if isinstance(parent, Rejected) or not variations:
            continue
        if any(one in known for one in parent.lineage.document_ids):
            asked += [(parent, text) for _, text in variations]
        else:
            tools.note("The passages of some examples are not in the corpus: their variations were not searched for")
    if not asked:
        return set()
    if tools.encoder is None:
        tools.note("No encoder was given: passages are searched by words (BM25)", expected=True)
    rank = tools.settings.training_data.round_trip_rank or _RANK
    hits = tools.retriever.search([text for _, text in asked], rank)
    return {
        (parent.id, text)
        for (parent, text), found in zip(asked, hits, strict=True)
        if not {hit.id for hit in found}.intersection(parent.lineage.document_ids)
    }


def _example(parent: TrainingExample, method: str, query: str, tools: Tools) -> TrainingExample:
    origin = parent.lineage
    kept = {name: getattr(origin, name) for name in _KEPT}
    return TrainingExample(
        query=query,
        response=parent.response,
        context=parent.context,
        negatives=parent.negatives,
        label=parent.label,
        weight=parent.weight,
        strategy=AugmentationStrategy.name,
        weak=parent.weak or method in GUESSED,
        metadata={"method": method},
        lineage=tools.lineage(source=origin.source or "examples", example_ids=(parent.id,), **kept),
    )
