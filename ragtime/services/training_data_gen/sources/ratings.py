"""Making one rating of many that are about the same query and document."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.records.training import Rater
from ragtime.services.training_data_gen.dedup.shingles import normalize_text
from ragtime.services.training_data_gen.sources.items import FeedbackRecord

__all__ = ["HALF_LIFE", "MINIMUM_VOTES", "MergedRating", "merge_ratings"]

HALF_LIFE = timedelta(days=90)
"""After this time, a rating counts half: documents and answers change."""

MINIMUM_VOTES = 1
"""With fewer ratings, nothing is decided."""

_HALF_LIFE_SECONDS = HALF_LIFE.total_seconds()

Verdict = Literal["good", "bad", "undecided"]


class MergedRating(NamedTuple):
    """What all ratings of one query and one document come to.

    Attributes:
        query: The query, as the newest of the ratings has it.
        document_id: The document; ``None`` when the ratings name none, and are of the answer alone.
        response: The answer, where no document is named; else ``None``.
        stars: The weighted mean, 1 to 5.
        weight: The sum of the weights: 1 for a rating given just now of an answer whose first document this is.
        votes: How many ratings there are.
        verdict: ``good`` or ``bad`` by the thresholds of the settings, or ``undecided``.
        feedback_ids: The ratings, by id.
        raters: Who gave them, each once; one without ids stands for all of whom nobody knows who they are.
    """

    query: str
    document_id: str | None
    response: str | None
    stars: float
    weight: float
    votes: int
    verdict: Verdict
    feedback_ids: tuple[str, ...]
    raters: tuple[Rater, ...] = ()


class _Vote(NamedTuple):
    feedback_id: str
    time: float | None  # seconds since 1970
    stars: float
    share: float
    user_id: str | None
    conversation_id: str | None


class _Votes(NamedTuple):
    query: str
    document_id: str | None
    response: str | None
    votes: list[_Vote]
    newest: tuple[float, str, str]


def merge_ratings(
    records: Iterable[FeedbackRecord], settings: Settings, now: datetime | None = None
) -> Iterator[MergedRating]:
    """Merge the ratings of each query and document: a mean, in which the newer ones count more.

    Queries are the same when they differ in case and white space alone. A rating of an answer that drew on several
    documents is one for each of them; it counts ``1 / log2(1 + rank)``, the discount of nDCG, so that the first
    document counts most. A rating counts half as much for every 90 days of its age. One without a time is as old as
    the oldest. The order of the records changes nothing.

    All ratings are in memory, without their texts; a query and document that were rated once take some 850 bytes, the
    query included.

    Args:
        records: The ratings.
        settings: Tell from how many stars a rating is good or bad.
        now: The time from which ages are counted, with a time zone; ``None`` means that of the newest rating, so that
            the result does not depend on when this is called.

    Yields:
        The merged ratings, by query and document.

    Raises:
        InvalidArgumentError: `now` has no time zone.
    """
    if now is not None and now.tzinfo is None:
        raise InvalidArgumentError("now: found a time without a time zone; give one, such as datetime.now(UTC)")
    groups: dict[bytes, _Votes] = {}
    for record in records:
        _sort_in(groups, record)
    times = [vote.time for group in groups.values() for vote in group.votes if vote.time is not None]
    reference = now.timestamp() if now is not None else max(times, default=0.0)
    oldest = min(times, default=reference)
    for group in sorted(groups.values(), key=_place):
        yield _merged(group, settings, reference, oldest)


def _place(group: _Votes) -> tuple[str, str, str]:
    return normalize_text(group.query), group.document_id or "", normalize_text(group.response or "")


def _sort_in(groups: dict[bytes, _Votes], record: FeedbackRecord) -> None:
    time = None if record.created_at is None else record.created_at.timestamp()
    answers: list[tuple[str | None, str | None]] = [(document, None) for document in record.document_ids]
    for rank, (document_id, response) in enumerate(answers or [(None, record.response)], start=1):
        share = 1 / math.log2(1 + rank)
        vote = _Vote(record.id, time, record.stars, share, record.user_id, record.conversation_id)
        # A rating without documents is of its answer; the same question may have had many.
        key = _key(normalize_text(record.query), document_id, None if response is None else normalize_text(response))
        newest = (-math.inf if time is None else time, record.query, response or "")
        group = groups.get(key)
        if group is None:
            groups[key] = _Votes(record.query, document_id, response, [vote], newest)
            continue
        group.votes.append(vote)
        if newest > group.newest:
            groups[key] = _Votes(record.query, document_id, response, group.votes, newest)


def _key(query: str, document_id: str | None, response: str | None) -> bytes:
    text = repr((query, document_id, response))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _merged(group: _Votes, settings: Settings, reference: float, oldest: float) -> MergedRating:
    # Logs repeat themselves, be it without the user; fsum is exact, so that no order matters.
    votes = list({(vote.feedback_id, vote.time, vote.stars, vote.share): vote for vote in group.votes}.values())
    weights = [
        vote.share * 0.5 ** (max(0.0, reference - (oldest if vote.time is None else vote.time)) / _HALF_LIFE_SECONDS)
        for vote in votes
    ]
    total = math.fsum(weights)
    # Of ratings so old that nothing is left of their weight, the plain mean.
    shares = [weight / total for weight in weights] if total > 0 else [1 / len(votes)] * len(votes)
    mean = math.fsum(vote.stars * share for vote, share in zip(votes, shares, strict=True))
    stars = min(max(vote.stars for vote in votes), max(min(vote.stars for vote in votes), mean))
    ids = tuple(sorted({vote.feedback_id for vote in votes}))
    return MergedRating(
        group.query,
        group.document_id,
        group.response,
        stars,
        total,
        len(votes),
        _verdict(stars, len(votes), settings),
        ids,
        _raters(group.votes),
    )


def _raters(votes: Iterable[_Vote]) -> tuple[Rater, ...]:
    """Return who gave some ratings, each once, sorted."""
    found = sorted({(vote.user_id or "", vote.conversation_id or "") for vote in votes})
    return tuple(Rater(user_id=user or None, conversation_id=conversation or None) for user, conversation in found)


def _verdict(stars: float, votes: int, settings: Settings) -> Verdict:
    if votes < MINIMUM_VOTES:
        return "undecided"
    if stars >= settings.training_data.positive_rating:
        return "good"
    return "bad" if stars <= settings.training_data.negative_rating else "undecided"
