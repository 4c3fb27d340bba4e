"""Rated answers as the old modules stored them, entry by entry: a bad one costs only itself."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from numbers import Real
from typing import Any, Protocol, TypeAlias

from ragtime.services.training_data_gen.sources.times import parse_time
from ragtime_compat.plain_numbers import plain_number

__all__ = [
    "DocumentStore",
    "FeedbackClient",
    "FeedbackEntry",
    "LoggedFeedback",
    "StoredDocuments",
    "document_ids_of",
    "is_recent",
    "query_of",
    "rating_of",
    "search_feedback",
    "usable_entries",
]

FeedbackEntry: TypeAlias = dict[str, Any]
"""What was stored of one rated answer: ``query``, ``rating``, ``document_ids``, ``timestamp`` and more."""

_NEEDED = ("query", "rating", "document_ids")
_LIMIT = 500
_SECONDS_A_DAY = 86_400


class FeedbackClient(Protocol):
    """Finds what was logged, as the old client of the decision log."""

    def search_custom_data_value_fts(self, params: dict[str, Any], /) -> object:
        """Return the records that fit, each an object whose ``value`` is what was logged."""
        ...


class DocumentStore(Protocol):
    """Holds the documents, in the manner of a Chroma collection."""

    def get(self, *, ids: list[str]) -> Any:
        """Return ``{"ids": [...], "documents": [...]}`` of those that it has."""
        ...


class StoredDocuments:
    """A store, as a source of the new generator: nothing but its ``get``, whatever else it may be."""

    def __init__(self, store: DocumentStore) -> None:
        """Read this store."""
        self.get = store.get  # itself, since its parameters tell whether it can be read page by page


class LoggedFeedback:
    """The ratings that a client finds, as a source of the new generator."""

    def __init__(self, client: FeedbackClient, workspace_id: str) -> None:
        """Search with this client, for this workspace."""
        self._client = client
        self._workspace_id = workspace_id

    def records(self) -> list[object]:
        """Return all of them; see ``search_feedback``."""
        return search_feedback(self._client, self._workspace_id)


def search_feedback(client: FeedbackClient, workspace_id: str) -> list[object]:
    """Return the records of rated answers that a client finds.

    Args:
        client: The client.
        workspace_id: The workspace that it is asked for.

    Returns:
        The records, unread.

    Raises:
        TypeError: The client gives no list.
        Exception: Whatever the client raises.
    """
    found = client.search_custom_data_value_fts(
        {"workspace_id": workspace_id, "query_term": "rating", "category_filter": "UserFeedback", "limit": _LIMIT}
    )
    if not isinstance(found, list):
        raise TypeError(f"A client gives a list of records, found {type(found).__name__}")
    return found


def usable_entries(records: Iterable[object], min_query_length: int) -> Iterator[FeedbackEntry]:
    """Return what was logged, where it can be used.

    Args:
        records: The records; the value of one is an object, or a text with one in JSON.
        min_query_length: Fewest words of a query.

    Yields:
        The values, whole, that have a query, a rating and documents, be the list of these empty.
    """
    for record in records:
        entry = _value(record)
        if entry is not None and all(name in entry for name in _NEEDED):
            query = entry["query"]
            if isinstance(query, str) and len(query.split()) >= min_query_length:
                yield entry


def _value(record: object) -> FeedbackEntry | None:
    value = record.get("value") if isinstance(record, Mapping) else None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def is_recent(entry: FeedbackEntry, days_back: float, now: datetime) -> bool:
    """Say whether an entry is not older than some days; one without a time that can be read is.

    Args:
        entry: The entry; its time is a number of seconds or an ISO text, local time where that names no zone.
        days_back: The days.
        now: The time from which they are counted, with a time zone.

    Returns:
        Whether it is as new as that.
    """
    found = entry.get("timestamp")
    try:
        if isinstance(found, str):
            moment: datetime | None = datetime.fromisoformat(found).astimezone(UTC)
        elif isinstance(found, Real):
            moment = parse_time(plain_number(found))
        else:
            moment = None
    except (ValueError, OverflowError, OSError):  # no time, or one before the year 1
        return False
    return moment is not None and (now - moment).total_seconds() <= days_back * _SECONDS_A_DAY


def query_of(entry: FeedbackEntry) -> str:
    """Return the query without white space round it; empty when there is none."""
    query = entry.get("query")
    return query.strip() if isinstance(query, str) else ""


def rating_of(entry: FeedbackEntry) -> float | None:
    """Return the rating as a number, also where a text holds it; ``None`` when it is none, or not finite."""
    rating = plain_number(entry.get("rating"))
    if isinstance(rating, str):
        try:
            number = float(rating)
        except ValueError:
            return None
        rating = int(number) if number.is_integer() else number
    if isinstance(rating, bool) or not isinstance(rating, int | float):
        return None
    return rating if isinstance(rating, int) or math.isfinite(rating) else None


def document_ids_of(entry: FeedbackEntry) -> list[str]:
    """Return the ids of the documents, in their order; a single text is one id."""
    found = entry.get("document_ids")
    if isinstance(found, str):
        found = [found]
    return [one for one in found if isinstance(one, str) and one] if isinstance(found, list | tuple) else []
