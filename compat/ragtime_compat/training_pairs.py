"""Pairs of query and document, by the rules that only the old generator had."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from ragtime.migration.deprecation import deprecated_class
from ragtime_compat.training_feedback import FeedbackEntry, document_ids_of, query_of, rating_of

__all__ = [
    "HARD_NEGATIVE",
    "TrainingPair",
    "cut",
    "hard_negative_pairs",
    "is_empty",
    "is_pair",
    "is_positive",
    "rated_pairs",
]

Documents: TypeAlias = Callable[[list[str]], Mapping[str, str]]
"""Returns the texts of some documents by their ids, without those that it does not have."""

HARD_NEGATIVE = "hard_negative"
"""The type of the pairs that count as hard negatives."""

_LONGEST = 1000  # characters of a document in a pair
_EARLIEST_CUT = 700  # where a sentence must end later than here to be where the text is cut
_ELLIPSIS = "..."
_POSITIVE, _HALF_WAY, _NEGATIVE = 1.0, 0.5, 0.0


@deprecated_class("training_data_generator")
@dataclass
class TrainingPair:
    """Deprecated: ``ragtime.services.training_data_gen.TrainingExample`` takes its place.

    Attributes:
        query: What was asked.
        document: A text that it should find, or should not find.
        label: 1.0 when it should, 0.0 when it should not.
        rating: What the answer was rated; ``None`` when nobody rated it.
        pair_type: ``positive``, ``negative`` or ``hard_negative`` for what the generator makes.
        metadata: Anything else; ``None`` for nothing.
    """

    query: str
    document: str
    label: float
    rating: float | None = None
    pair_type: str = "standard"
    metadata: dict[str, Any] | None = None


TrainingPair.__module__ = "training_data_generator_compat"  # where it is public, so that pickles and messages name that


def is_positive(pair: TrainingPair) -> bool:
    """Say whether the query should find the document: the label is above half way."""
    return bool(pair.label > _HALF_WAY)  # a bool also where the label is a number of numpy


def is_empty(pairs: Sequence[TrainingPair] | None) -> bool:
    """Say whether there are no pairs; an array of numpy has no truth value of its own."""
    return pairs is None or not len(pairs)


def is_pair(given: object) -> bool:
    """Say whether something can stand as a pair: it has the texts of one."""
    return all(isinstance(getattr(given, name, None), str) for name in ("query", "document"))


def cut(text: str) -> str:
    """Return a text of at most 1,000 characters, cut at the end of a sentence or a line if there is one near."""
    if len(text) <= _LONGEST:
        return text
    end = max(text.rfind(mark, 0, _LONGEST) for mark in ".\n")
    return text[: end + 1] if end > _EARLIEST_CUT else text[: _LONGEST - len(_ELLIPSIS)] + _ELLIPSIS


def rated_pairs(entry: FeedbackEntry, rating: float, documents: Documents, *, positive: bool) -> Iterator[TrainingPair]:
    """Return a pair for each document of a rated answer.

    Args:
        entry: The entry.
        rating: Its rating.
        documents: Where the texts are.
        positive: Whether the rating is good.

    Yields:
        The pairs, in the order of the documents; none when there is no query.
    """
    query, ids = query_of(entry), document_ids_of(entry)
    if not query or not ids:
        return
    texts = documents(ids)
    for document_id in ids:
        if document_id in texts:
            yield TrainingPair(
                query,
                cut(texts[document_id]),
                _POSITIVE if positive else _NEGATIVE,
                rating,
                "positive" if positive else "negative",
                {
                    "document_id": document_id,
                    "feedback_timestamp": entry.get("timestamp"),
                    "original_rating": rating,
                },
            )


class _BadAnswer(NamedTuple):
    query: str
    words: frozenset[str]
    document_id: str
    rating: float


def hard_negative_pairs(
    positives: Sequence[TrainingPair],
    entries: Iterable[FeedbackEntry],
    documents: Documents,
    *,
    limit: int,
    worst_rating: float,
    threshold: float,
) -> Iterator[TrainingPair]:
    """Pair queries with the first document of an answer to a like query that was rated badly.

    Queries are as like as the words that they share are many among the words of both. The most like query comes first,
    the very same query last: its bad answers are negatives of it anyway. A document that a positive has for the query,
    or an earlier hard negative, is passed over.

    Args:
        positives: The pairs whose queries get hard negatives.
        entries: The rated answers.
        documents: Where the texts are.
        limit: How many of the positives are looked at.
        worst_rating: Up to which rating an answer is bad.
        threshold: How like queries are at least, from 0 to 1.

    Yields:
        At most one pair for each positive.
    """
    bad = list(_bad_answers(entries, worst_rating))
    if not positives or not bad:
        return
    texts = documents(list(dict.fromkeys(one.document_id for one in bad)))
    bad = [one for one in bad if one.document_id in texts]
    taken = {(pair.query.strip(), pair.document) for pair in positives}
    for pair in positives[: max(0, limit)]:
        query = pair.query.strip()
        for similarity, one in _ranked(query, bad, threshold):
            document = cut(texts[one.document_id])
            if (query, document) not in taken:
                taken.add((query, document))
                yield TrainingPair(
                    pair.query,
                    document,
                    _NEGATIVE,
                    one.rating,
                    HARD_NEGATIVE,
                    {
                        "document_id": one.document_id,
                        "similar_query": one.query,
                        "similarity_score": similarity,
                        "original_rating": one.rating,
                    },
                )
                break


def _bad_answers(entries: Iterable[FeedbackEntry], worst_rating: float) -> Iterator[_BadAnswer]:
    for entry in entries:
        query, rating, ids = query_of(entry), rating_of(entry), document_ids_of(entry)
        if query and ids and rating is not None and rating <= worst_rating:
            yield _BadAnswer(query, _words(query), ids[0], rating)


def _ranked(query: str, bad: Sequence[_BadAnswer], threshold: float) -> list[tuple[float, _BadAnswer]]:
    words = _words(query)
    found = [(_likeness(words, one.words), one) for one in bad]
    like = [(similarity, one) for similarity, one in found if similarity >= threshold]
    return sorted(like, key=lambda ranked: (ranked[1].query == query, -ranked[0]))


def _words(query: str) -> frozenset[str]:
    return frozenset(query.lower().split())


def _likeness(words: frozenset[str], others: frozenset[str]) -> float:
    """Return the Jaccard index of two sets of words."""
    together = len(words | others)
    return len(words & others) / together if together else 0.0
