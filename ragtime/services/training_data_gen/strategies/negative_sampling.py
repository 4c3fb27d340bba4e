"""Existing pairs with passages that are close to the query and do not answer it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragtime.errors import GenerationError
from ragtime.records.training import Lineage, Rater
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.mining import MiningOptions, MiningTask, mine_negatives
from ragtime.services.training_data_gen.mining.lexical import LexicalTask, mine_lexical_negatives
from ragtime.services.training_data_gen.retrieval import DenseRetriever
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Unit, register_strategy
from ragtime.services.training_data_gen.strategies.base_examples import base_outcomes, outcomes_of, rejected_units
from ragtime.services.training_data_gen.strategies.relevance import JudgedPassages, KnownPassages, KnownQuery
from ragtime.services.training_data_gen.tools import Tools
from ragtime.utils.extras import LazyModule
from ragtime.utils.hashing import keyed_seed

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["NegativeSamplingStrategy"]

_HARD, _IN_BETWEEN, _RANDOM = 3, 1, 1
_FIRST_BETWEEN, _WIDTH = 200, 100  # ranks
_MOST_BAD = 2  # passages that were rated as bad, besides those that the example has already


class NegativeSamplingStrategy:
    """Mines negatives for pairs that exist: given examples, or else those that the other sources give.

    Negatives that a pair has already come first, then passages that were rated as bad for the query, then the hardest
    of the corpus, one of the middle ranks and a random one. A positive of the same or of a near-duplicate query is
    never a negative, nor is a copy of one; what queries and ratings say about given examples counts, too.
    """

    name = "negative_sampling"

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:
        """Mine for all queries at once, for the margin depends on all; see ``Strategy``."""
        if not len(tools.corpus):
            raise GenerationError(f"The strategy {self.name!r} mines documents, and {sources.lack('documents')}")
        passages = KnownPassages(tools.corpus)
        judged = JudgedPassages(passages)
        pairs: list[TrainingExample] = []
        fallen: Counter[str] = Counter()
        for outcome in base_outcomes(sources, tools):
            example = outcome.example if isinstance(outcome, Rejected) else outcome
            if example is not None:
                judged.add(example)
            if isinstance(outcome, Rejected):
                fallen[outcome.reason] += 1
            elif not outcome.is_positive:
                fallen["its response is not what its query should retrieve"] += 1
            elif not passages.named(outcome):
                fallen["its passage is not in the corpus"] += 1
            else:
                pairs.append(outcome)
        for one in _further(sources, tools):
            judged.add(one)
        queries = judged.queries()
        numbers = {normalize_text(query.text): number for number, query in enumerate(queries)}
        wanted = sorted({numbers[normalize_text(example.query)] for example in pairs})
        found = dict(zip(wanted, _mined([queries[one] for one in wanted], passages, tools), strict=True))
        for example in pairs:
            number = numbers[normalize_text(example.query)]
            yield {
                "example": example.model_dump(mode="json", exclude={"id"}),
                "refuted": sorted(
                    passages.of_texts(example.negatives) & (queries[number].excluded - queries[number].bad)
                ),
                "bad": sorted(queries[number].bad),
                "rated_by": _rated_by(queries[number], judged),
                **found[number],
            }
        yield from rejected_units(fallen)

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Put query, passage and negatives together; see ``Strategy``."""
        return [[_made(unit, tools)] for unit in units]


def _rated_by(query: KnownQuery, judged: JudgedPassages) -> dict[str, Any]:
    """Return whose ratings tell which passages are bad, by their ids."""
    found = {one: judged.rated_by(query.text, one) for one in sorted(query.bad)}
    return {
        one: {"feedback_ids": list(by.feedback_ids), "raters": [rater.model_dump() for rater in by.raters]}
        for one, by in found.items()
        if by.feedback_ids
    }


def _further(sources: Reading, tools: Tools) -> Iterator[TrainingExample]:
    """Return what queries and ratings say that stand beside given examples."""
    if sources.has("examples") and (sources.has("queries") or sources.has("feedback")):
        for outcome in outcomes_of("query_based", sources, tools):
            example = outcome.example if isinstance(outcome, Rejected) else outcome
            if example is not None and not example.weak:  # no guess forbids a negative
                yield example


def _mined(queries: Sequence[KnownQuery], passages: KnownPassages, tools: Tools) -> list[dict[str, Any]]:
    if not queries:
        return []
    if isinstance(tools.retriever, DenseRetriever):
        return _by_vectors(queries, passages, tools.retriever, tools)
    tools.note("No encoder was given: negatives are mined by words (BM25)", expected=True)
    task = LexicalTask(
        queries=[query.text for query in queries],
        positives=[query.positives for query in queries],
        excluded=[query.excluded for query in queries],
        passages=passages.ids,
        groups=passages.groups,
        chance=lambda query: tools.random("negatives", query),
    )
    mined = mine_lexical_negatives(task, tools.retriever, hard=_HARD, in_between=_IN_BETWEEN, easy=_RANDOM)
    _note(tools, mined.relative_margin, {"within_relative_margin": mined.too_near})
    return [
        {
            "negatives": [
                {"id": one.id, "score": None if one.score is None else round(one.score, 6), "grade": one.grade}
                for one in found
            ],
            "worst_positive": round(worst, 6),
            "relative_margin": mined.relative_margin,
        }
        for found, worst in zip(mined.found, mined.worst_positives, strict=True)
    ]


def _by_vectors(
    queries: Sequence[KnownQuery], passages: KnownPassages, retriever: DenseRetriever, tools: Tools
) -> list[dict[str, Any]]:
    ids, seed = passages.ids, tools.settings.seed
    places = {one: place for place, one in enumerate(ids)}
    most = max(len(query.positives) for query in queries)
    options = MiningOptions(num_negatives=_HARD, seed=seed)
    first = max(_FIRST_BETWEEN, options.window(most, rescored=False))
    options = MiningOptions(
        num_negatives=_HARD,
        in_between=_IN_BETWEEN,
        in_between_range=(first, first + _WIDTH),
        random=_RANDOM,
        seed=seed,
    )
    mined = mine_negatives(
        MiningTask(
            queries=retriever.encoder.encode([query.text for query in queries], role="query"),
            corpus=retriever.index().vectors(ids),
            positives=[sorted(places[one] for one in query.positives) for query in queries],
            query_groups=np.array([query.group for query in queries], np.int64),
            corpus_groups=passages.numbers,
            # Positives of near-duplicate queries are among them: some of these have no pair to mine for.
            known_negatives=[sorted(places[one] for one in query.excluded - query.positives) for query in queries],
            query_keys=np.array([keyed_seed(seed, "query", query.text) for query in queries], np.uint64),
            corpus_keys=np.array([keyed_seed(seed, "passage", one) for one in ids], np.uint64),
        ),
        options,
    )
    ledger = mined.ledger()
    _note(tools, mined.relative_margin, {"within_relative_margin": ledger["within_relative_margin"]})
    return [
        {
            "negatives": [
                {"id": ids[one.position], "score": round(one.score, 6), "grade": one.grade} for one in mined.of(number)
            ],
            "worst_positive": round(float(mined.worst_positives[number]), 6),
            "relative_margin": mined.relative_margin,
        }
        for number in range(len(queries))
    ]


def _note(tools: Tools, margin: float | None, dropped: Mapping[str, int]) -> None:
    for reason, count in dropped.items():
        if count:
            tools.note(f"Mining with a relative margin of {margin} left out {count:,} × {reason}", expected=True)


def _made(unit: Mapping[str, Any], tools: Tools) -> Outcome:
    if "rejected" in unit:
        return Rejected(unit["rejected"])
    example = TrainingExample(**unit["example"])
    mined = unit["negatives"]
    documents = tools.corpus.find([*unit["refuted"], *unit["bad"], *(one["id"] for one in mined)])
    refuted = {normalize_text(documents[one].content) for one in unit["refuted"]}
    by_text = {normalize_text(documents[one].content): one for one in unit["bad"]}
    chosen: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(text: str, one: str | None, score: float | None, grade: str) -> bool:
        key = normalize_text(text)
        if key in chosen or key in refuted or key == normalize_text(example.response):
            return False
        chosen[key] = text, {"id": one, "score": score, "grade": grade}
        return True

    for text in example.negatives:
        add(text, by_text.get(normalize_text(text)), None, "given")
    further: list[str] = []
    for one in unit["bad"]:
        if len(further) < _MOST_BAD and add(documents[one].content, one, None, "rated bad"):
            further.append(one)
    for one in mined:
        add(documents[one["id"]].content, one["id"], one["score"], one["grade"])
    if not chosen:
        return Rejected("no passage is close without being a positive")
    metadata = {
        "negative_ids": [one["id"] for _, one in chosen.values()],
        "negative_scores": [one["score"] for _, one in chosen.values()],
        "negative_grades": [one["grade"] for _, one in chosen.values()],
        "worst_positive": unit["worst_positive"],
        "relative_margin": unit["relative_margin"],
        "mined_by": tools.retriever.name,
    }
    return example.model_copy(
        update={
            "negatives": tuple(text for text, _ in chosen.values()),
            "strategy": NegativeSamplingStrategy.name,
            "metadata": {**example.metadata, **metadata},
            "lineage": _lineage(example, [unit["rated_by"][one] for one in further if one in unit["rated_by"]]),
        }
    )


def _lineage(example: TrainingExample, rated_by: Sequence[Mapping[str, Any]]) -> Lineage:
    """Return the lineage of an example whose further negatives were rated so."""
    own = example.lineage
    feedback = (*own.feedback_ids, *(one for rated in rated_by for one in rated["feedback_ids"]))
    raters = (*own.raters, *(Rater(**one) for rated in rated_by for one in rated["raters"]))
    itself = None if own.conversation_id is None else (own.user_id, own.conversation_id)
    others = (one for one in raters if (one.user_id, one.conversation_id) != itself)
    return own.model_copy(
        update={
            "example_ids": (example.id,),
            "feedback_ids": tuple(dict.fromkeys(feedback)),
            "raters": tuple(dict.fromkeys(others)),
        }
    )


register_strategy(NegativeSamplingStrategy.name, NegativeSamplingStrategy)
