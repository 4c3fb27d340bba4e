"""Reading ratings of answers, in whatever shape an application wrote them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.records.decisions import CustomData
from ragtime.services.training_data_gen.sources.given import (
    UnusableError,
    as_path,
    given_id,
    made,
    numbered,
    read_json_lines,
    read_json_list,
    repeatable,
)
from ragtime.services.training_data_gen.sources.html_text import is_html, plain_text
from ragtime.services.training_data_gen.sources.items import BadRecord, FeedbackRecord
from ragtime.services.training_data_gen.sources.stars import RatingScale
from ragtime.services.training_data_gen.sources.times import parse_time
from ragtime.utils.hashing import content_hash

__all__ = ["LONGEST_QUERY", "RESERVED_FIELDS", "feedback_reader", "feedback_rows"]

LONGEST_QUERY = 2000
"""Characters of a query. What is longer is a pasted document: nobody knows which part of it was the question, and a
beginning that we cut out would be a question that nobody asked. So it is rejected by name, not trimmed."""

_SUFFIXES = (".jsonl", ".ndjson", ".json")
_EXPECTED = "a list of FeedbackRecord or dicts, a path, or a log with records() or custom_data(category)"
_CATEGORY = "UserFeedback"  # under which the old modules logged ratings
_NOBODY = ("", "unknown", "none", "null")  # what the old modules wrote for an id that they did not know
RESERVED_FIELDS = frozenset(
    {"feedback_id", "id", "_id", "query", "question", "response", "answer", "document_ids", "timestamp", "created_at"}
    | {"user_id", "conversation_id", "session_id", "metadata"}
)
"""Fields of a record that are read by their own names, and therefore hold no rating."""


@dataclass(frozen=True)
class _Options:
    field: str
    scale: RatingScale


def feedback_reader(
    given: object, *, rating_field: str, rating_scale: tuple[float, float]
) -> Callable[[], Iterator[FeedbackRecord | BadRecord]]:
    """Check what was given as feedback.

    Args:
        given: A list of ``FeedbackRecord`` or dicts; a file with such dicts, as JSON Lines or a JSON list; or a log:
            anything with ``records()``, or a decision log, whose category ``UserFeedback`` is read. A dict is of the
            shape of the old modules (``query``, ``response``, ``rating``, ``document_ids``, ``timestamp``), or holds
            such a one as its ``value``, an object or JSON text.
        rating_field: Name of the field with the rating.
        rating_scale: The worst rating and the best.

    Returns:
        What reads the ratings. A record without an id has a hash of its content.

    Raises:
        InvalidArgumentError: It is nothing of that, or the scale is none.
    """
    if not rating_field:
        raise InvalidArgumentError("rating_field is the name of a field, such as 'rating'")
    options = _Options(rating_field, RatingScale.of(rating_scale))
    path = as_path(given, "feedback", suffixes=_SUFFIXES)
    if path is not None:
        return partial(_read_file, path, options)
    for name, arguments in (("records", ()), ("custom_data", (_CATEGORY,))):
        if callable(method := getattr(given, name, None)):
            return partial(_read_log, partial(method, *arguments), options)
    return partial(_read_items, repeatable(given, "feedback", _EXPECTED), options)


def feedback_rows(path: Path, rating_field: str) -> Iterator[Mapping[str, Any]]:
    """Read the records of a file as they are, those in the entries of a log taken out of them.

    Args:
        path: The file.
        rating_field: Name of the field with the rating.

    Yields:
        The objects; what is none is left out.
    """
    for _, record in _records(path):
        try:
            row, _ = _unwrapped(record, rating_field)
        except UnusableError:
            continue
        yield row


def _records(path: Path) -> Iterator[tuple[str, object]]:
    return (read_json_list if path.suffix.lower() == ".json" else read_json_lines)(path, path.name)


def _read_file(path: Path, options: _Options) -> Iterator[FeedbackRecord | BadRecord]:
    yield from _read_records(_records(path), options)


def _read_log(read: Callable[[], Iterable[object]], options: _Options) -> Iterator[FeedbackRecord | BadRecord]:
    yield from _read_items(read(), options)


def _read_items(items: Iterable[object], options: _Options) -> Iterator[FeedbackRecord | BadRecord]:
    yield from _read_records(numbered(items, "feedback"), options)


def _read_records(records: Iterable[tuple[str, object]], options: _Options) -> Iterator[FeedbackRecord | BadRecord]:
    for where, record in records:
        if isinstance(record, BadRecord):
            yield record
        else:
            yield made(partial(_feedback, record, options), where)


def _feedback(record: object, options: _Options) -> FeedbackRecord:
    if isinstance(record, FeedbackRecord):
        return record
    row, key = _unwrapped(record, options.field)
    query = _query(row)
    stars = options.scale.stars(row.get(options.field))
    used = RESERVED_FIELDS | {options.field}
    metadata = {str(name): value for name, value in row.items() if name not in used}
    if isinstance(row.get("metadata"), Mapping):
        metadata |= row["metadata"]
    return FeedbackRecord(
        id=given_id(row, "feedback_id", "id", "_id") or key or content_hash(dict(row)),
        query=query,
        response=_response(row),
        stars=stars,
        document_ids=_document_ids(row.get("document_ids")),
        created_at=_time(row),
        user_id=_known_id(row, "user_id"),
        conversation_id=_known_id(row, "conversation_id", "session_id"),
        metadata=metadata,
    )


def _unwrapped(record: object, field: str) -> tuple[Mapping[str, Any], str | None]:
    """Return the feedback in an entry of a log, and the key of the entry."""
    if isinstance(record, CustomData):
        record = {"key": record.key, "value": record.value}
    if not isinstance(record, Mapping):
        raise UnusableError("record is neither feedback nor an object")
    if "value" not in record or "query" in record or field == "value":
        return record, None
    value = record["value"]
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UnusableError("value is no JSON object") from None
    if not isinstance(value, Mapping):
        raise UnusableError("value is no JSON object")
    return value, given_id(record, "key")


def _query(row: Mapping[str, Any]) -> str:
    query = next((row[name] for name in ("query", "question") if row.get(name) is not None), None)
    if not isinstance(query, str):
        raise UnusableError("query is missing" if query is None else "query is no text")
    query = query.strip()
    if not query:
        raise UnusableError("query is blank")
    if len(query) > LONGEST_QUERY:
        raise UnusableError(f"query is longer than {LONGEST_QUERY} characters")
    if "\0" in query:
        raise UnusableError("query holds NUL characters")
    return query


def _response(row: Mapping[str, Any]) -> str | None:
    response = next((row[name] for name in ("response", "answer") if row.get(name) is not None), None)
    if response is None:
        return None
    if not isinstance(response, str):
        raise UnusableError("response is no text")
    if is_html(response):
        try:
            response = plain_text(response)
        except ValueError:
            raise UnusableError("response is HTML that cannot be parsed") from None
    if "\0" in response:
        raise UnusableError("response holds NUL characters")
    return response.strip() or None


def _document_ids(found: object) -> tuple[str, ...]:
    """Return the ids in their order, each once; a single text is one id."""
    if found is None or found == "":
        return ()
    if isinstance(found, str | Mapping):
        found = [found]
    if not isinstance(found, list | tuple):
        raise UnusableError("document_ids are no ids")
    rows = [one if isinstance(one, Mapping) else {"id": one} for one in found]
    ids = [given_id(row, "id", "_id", "document_id", "doc_id") for row in rows]
    if None in ids:
        raise UnusableError("document_ids are no ids")
    return tuple(dict.fromkeys(one for one in ids if one is not None))


def _time(row: Mapping[str, Any]) -> Any:
    found = next((row[name] for name in ("timestamp", "created_at") if row.get(name) is not None), None)
    try:
        return parse_time(found)
    except ValueError:
        raise UnusableError("timestamp is no time") from None


def _known_id(row: Mapping[str, Any], *names: str) -> str | None:
    known = [name for name in names if str(row.get(name)).strip().lower() not in _NOBODY]
    return given_id(row, *known)
