"""Existing pairs with passages that are close to the query and do not answer it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ragtime.errors import GenerationError
from ragtime.services.training_data_gen.dedup import group_near_duplicates
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.mining import MiningOptions, MiningTask, mine_negatives
from ragtime.services.training_data_gen.mining.lexical import mine_lexical_negatives
from ragtime.services.training_data_gen.retrieval import DenseRetriever
from ragtime.services.training_data_gen.sources.reading import Reading
from ragtime.services.training_data_gen.strategies.base import Outcome, Rejected, Unit, register_strategy
from ragtime.services.training_data_gen.strategies.base_examples import base_examples
from ragtime.services.training_data_gen.tools import Tools
from ragtime.utils.extras import LazyModule
from ragtime.utils.hashing import keyed_seed

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["NegativeSamplingStrategy"]

_POSITIVE = 0.5
_HARD, _IN_BETWEEN, _RANDOM = 3, 1, 1
_FIRST_BETWEEN, _WIDTH = 200, 100  # ranks
_MOST_BAD = 2  # passages that were rated as bad


class _Query(NamedTuple):
    """A query with what is known of its passages, all ids sorted."""

    text: str
    positives: tuple[str, ...]
    bad: tuple[str, ...]


class NegativeSamplingStrategy:
    """Mines negatives for pairs that exist: given examples, or else those that the other sources give.

    The hardest passages come first, then one of the middle ranks and a random one. A positive of the same or of a
    near-duplicate query is never a negative. Passages that were rated as bad for the query stand before all others.
    """

    name = "negative_sampling"

    def units(self, sources: Reading, tools: Tools) -> Iterator[Unit]:
        """Mine for all queries at once, for the margin depends on all; see ``Strategy``."""
        if not len(tools.corpus):
            raise GenerationError("negative_sampling mines documents, and there are none; give documents=")
        base = [example for example in base_examples(sources, tools) if example.lineage.document_ids]
        known = tools.corpus.find(sorted({one for example in base for one in example.lineage.document_ids}))
        pairs = sorted(
            (example for example in base if example.label > _POSITIVE and example.lineage.document_ids[0] in known),
            key=lambda example: example.id,
        )
        queries = _queries(base, set(known))
        numbers = {normalize_text(query.text): number for number, query in enumerate(queries)}
        found = _mined(queries, tools) if queries else []
        for example in pairs:
            number = numbers[normalize_text(example.query)]
            yield {
                "example": example.model_dump(mode="json", exclude={"id"}),
                "bad": list(queries[number].bad[:_MOST_BAD]),
                **found[number],
            }

    def make(self, units: Sequence[Unit], tools: Tools) -> list[list[Outcome]]:
        """Put query, passage and negatives together; see ``Strategy``."""
        return [[_made(unit, tools)] for unit in units]


def _queries(base: Sequence[TrainingExample], known: set[str]) -> list[_Query]:
    texts: dict[str, str] = {}
    positives: dict[str, set[str]] = {}
    bad: dict[str, set[str]] = {}
    for example in base:
        key = normalize_text(example.query)
        texts[key] = min(example.query, texts.get(key, example.query))
        group = positives if example.label > _POSITIVE else bad
        group.setdefault(key, set()).update(one for one in example.lineage.document_ids if one in known)
    return [
        _Query(texts[key], tuple(sorted(own)), tuple(sorted(bad.get(key, set()) - own)))
        for key, own in sorted(positives.items())
        if own
    ]


def _mined(queries: Sequence[_Query], tools: Tools) -> list[dict[str, Any]]:
    groups = group_near_duplicates([query.text for query in queries])
    of_group: dict[int, set[str]] = {}
    for query, group in zip(queries, groups.tolist(), strict=True):
        of_group.setdefault(group, set()).update(query.positives)
    excluded = [of_group[group] | set(query.bad) for query, group in zip(queries, groups.tolist(), strict=True)]
    if isinstance(tools.retriever, DenseRetriever):
        return _by_vectors(queries, groups, tools.retriever, tools)
    tools.note("No encoder was given: negatives are mined by words (BM25)", expected=True)
    mined = mine_lexical_negatives(
        tools.retriever,
        [query.text for query in queries],
        excluded,
        [set(query.positives) for query in queries],
        _HARD + _IN_BETWEEN + _RANDOM,
    )
    return [
        {
            "negatives": [{"id": one, "score": round(score, 6), "grade": "hard"} for one, score in found],
            "worst_positive": round(worst, 6),
            "relative_margin": mined.relative_margin,
        }
        for found, worst in zip(mined.found, mined.worst_positives, strict=True)
    ]


def _by_vectors(
    queries: Sequence[_Query], groups: Any, retriever: DenseRetriever, tools: Tools
) -> list[dict[str, Any]]:
    index = retriever.index()
    ids = sorted(index.ids())
    places = {one: place for place, one in enumerate(ids)}
    most = max(len(query.positives) for query in queries)
    seed = tools.settings.seed
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
            corpus=index.vectors(ids),
            positives=[[places[one] for one in query.positives] for query in queries],
            query_groups=groups,
            corpus_groups=_copies(ids, tools),
            known_negatives=[[places[one] for one in query.bad] for query in queries],
            query_keys=np.array([keyed_seed(seed, "query", query.text) for query in queries], np.uint64),
            corpus_keys=np.array([keyed_seed(seed, "passage", one) for one in ids], np.uint64),
        ),
        options,
    )
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


def _copies(ids: Sequence[str], tools: Tools) -> Any:
    """Return a number for each passage, the same for near-duplicates."""
    return group_near_duplicates([document.content for document in tools.corpus]) if ids else None


def _made(unit: Mapping[str, Any], tools: Tools) -> Outcome:
    example = TrainingExample(**unit["example"])
    chosen = [{"id": one, "score": None, "grade": "rated bad"} for one in unit["bad"]] + unit["negatives"]
    if not chosen:
        return Rejected("no passage is close without being a positive")
    documents = tools.corpus.find([one["id"] for one in chosen])
    texts = {one["id"]: documents[one["id"]].content for one in chosen}
    chosen = [one for one in chosen if texts[one["id"]] != example.response]
    metadata = {
        "negative_ids": [one["id"] for one in chosen],
        "negative_scores": [one["score"] for one in chosen],
        "negative_grades": [one["grade"] for one in chosen],
        "worst_positive": unit["worst_positive"],
        "relative_margin": unit["relative_margin"],
        "mined_by": tools.retriever.name,
    }
    return example.model_copy(
        update={
            "negatives": tuple(texts[one["id"]] for one in chosen),
            "strategy": NegativeSamplingStrategy.name,
            "metadata": {**example.metadata, **metadata},
            "lineage": example.lineage.model_copy(update={"example_ids": (example.id,)}),
        }
    )


register_strategy(NegativeSamplingStrategy.name, NegativeSamplingStrategy)
