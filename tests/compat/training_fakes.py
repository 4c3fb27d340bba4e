"""What the old generator was given: a client of the decision log, a store of documents, and entries of feedback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from training_data_generator_compat import TrainingDataGenerator

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
QUERY = "How do I descale the kettle?"


class Client:
    """Finds the records that it was given, and keeps what it was asked."""

    def __init__(self, *records: object, answer: object = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = list(records) if answer is None else answer

    def search_custom_data_value_fts(self, params: dict[str, Any]) -> object:
        self.asked.append(params)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


class Store:
    """Has some documents, in the manner of a Chroma collection, and keeps what it was asked."""

    def __init__(self, documents: Mapping[str, str | None] | None = None, failure: Exception | None = None) -> None:
        self.asked: list[list[str]] = []
        self.failure = failure
        self._documents = dict(documents or {})

    def get(self, ids: Sequence[str] | None = None) -> dict[str, Any]:
        if self.failure is not None:
            raise self.failure
        if ids is not None:
            self.asked.append(list(ids))
        found = [one for one in (self._documents if ids is None else ids) if one in self._documents]
        return {"ids": found, "documents": [self._documents[one] for one in found]}


def entry(rating: object = 5, query: object = QUERY, ids: object = ("d1",), **fields: Any) -> dict[str, Any]:
    """An entry as the old application logged it, given just now."""
    return {
        "query": query,
        "rating": rating,
        "document_ids": list(ids) if isinstance(ids, tuple) else ids,
        "timestamp": NOW.timestamp(),
        **fields,
    }


def record(value: object) -> dict[str, Any]:
    """A record of the decision log that holds an entry."""
    return {"key": "feedback_1", "value": value, "metadata": {"rating": 5}, "timestamp": "2026-01-31T12:00:00"}


def generator(
    *entries: Any,
    documents: Mapping[str, str | None] | None = None,
    clock: Callable[[], datetime] = lambda: NOW,
) -> TrainingDataGenerator:
    """A generator over some entries and documents."""
    store = Store({f"d{number}": f"Document {number}." for number in range(30)} if documents is None else documents)
    return TrainingDataGenerator(Client(*map(record, entries)), "workspace", store, "all-MiniLM-L6-v2", clock=clock)
