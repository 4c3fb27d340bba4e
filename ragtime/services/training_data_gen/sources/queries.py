"""Reading queries, with or without judgements of which document answers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.records.retrieval import RetrievalSet
from ragtime.services.training_data_gen.sources.given import (
    UnusableError,
    as_path,
    given_id,
    made,
    numbered,
    read_json_lines,
    repeatable,
)
from ragtime.services.training_data_gen.sources.items import BadRecord, JudgedQuery
from ragtime.utils.hashing import text_hash
from ragtime.utils.retrieval_sets import load_retrieval_set

__all__ = ["corpus_of_queries", "query_reader"]

_SUFFIXES = (".jsonl", ".ndjson")
_EXPECTED = (
    "a list of queries, dicts or texts, a mapping of texts by id, a path of JSON Lines, a folder in the layout of "
    "BEIR, or a RetrievalSet"
)
_TEXT_FIELDS = ("text", "query")
_JUDGEMENT_FIELDS = ("judgements", "document_ids")


def query_reader(given: object, *, split: str) -> Callable[[], Iterator[JudgedQuery | BadRecord]]:
    """Check what was given as queries.

    Args:
        given: A list of ``JudgedQuery``, dicts (``id`` or ``_id``; ``text`` or ``query``; ``judgements``: grades by
            document id, or a list of ids, which may be called ``document_ids``) or texts; a mapping of texts by id; a
            file with such dicts as JSON Lines; a folder in the layout of BEIR, of which damage is a ``StorageError``;
            or a ``RetrievalSet``.
        split: The part of the folder, such as ``train``.

    Returns:
        What reads the queries. One without an id has a hash of its text.

    Raises:
        InvalidArgumentError: It is nothing of that, or the folder has no judgements for the split.
    """
    if isinstance(given, RetrievalSet):
        return partial(_read_set, given)
    path = as_path(given, "queries", suffixes=_SUFFIXES, folder=True)
    if path is not None and path.is_dir():
        _check_split(path, split)
        return partial(_read_folder, path, split)
    if path is not None:
        return partial(_read_file, path)
    if isinstance(given, Mapping):
        if not all(isinstance(text, str) for text in given.values()) or set(_TEXT_FIELDS) & set(given):
            raise InvalidArgumentError(
                f"queries: found a mapping that is not one of texts by id; expected {_EXPECTED}: put a single dict "
                "into a list"
            )
        return partial(_read_mapping, given)
    return partial(_read_items, repeatable(given, "queries", _EXPECTED))


def corpus_of_queries(given: object) -> object | None:
    """Return what to give as documents where queries bring theirs along; ``None`` where they do not."""
    if isinstance(given, RetrievalSet):
        return given
    path = as_path(given, "queries", suffixes=_SUFFIXES, folder=True)
    return path / "corpus.jsonl" if path is not None and path.is_dir() else None


def _check_split(folder: Path, split: str) -> None:
    found = {path.stem.removeprefix("qrels-") for path in (*folder.glob("qrels-*.tsv"), *folder.glob("qrels/*.tsv"))}
    if split not in found:
        others = (
            f"those of {', '.join(map(repr, sorted(found)))}; name one of them as split" if found else "none at all"
        )
        raise InvalidArgumentError(f"queries: the folder {str(folder)!r} has no judgements of {split!r}, but {others}")
    if not (folder / "corpus.jsonl").is_file():
        raise InvalidArgumentError(f"queries: the folder {str(folder)!r} has no corpus.jsonl")


def _read_set(found: RetrievalSet) -> Iterator[JudgedQuery | BadRecord]:
    for query_id, text in found.queries.items():
        judgements = found.judgements.get(query_id)
        where = f"queries, query {query_id}"
        yield _converted({"id": query_id, "text": text, "judgements": judgements}, where)


def _read_folder(folder: Path, split: str) -> Iterator[JudgedQuery | BadRecord]:
    yield from _read_set(load_retrieval_set(folder, split=split))


def _read_mapping(texts: Mapping[str, str]) -> Iterator[JudgedQuery | BadRecord]:
    for number, (query_id, text) in enumerate(texts.items(), start=1):
        yield _converted({"id": query_id, "text": text}, f"queries, record {number}")


def _read_file(path: Path) -> Iterator[JudgedQuery | BadRecord]:
    yield from _read_records(read_json_lines(path, path.name))


def _read_items(items: Iterable[object]) -> Iterator[JudgedQuery | BadRecord]:
    yield from _read_records(numbered(items, "queries"))


def _read_records(records: Iterable[tuple[str, object]]) -> Iterator[JudgedQuery | BadRecord]:
    for where, record in records:
        yield record if isinstance(record, BadRecord) else _converted(record, where)


def _converted(record: object, where: str) -> JudgedQuery | BadRecord:
    return made(lambda: _query(record), where)


def _query(record: object) -> JudgedQuery:
    if isinstance(record, JudgedQuery):
        return record
    row = {"text": record} if isinstance(record, str) else record
    if not isinstance(row, Mapping):
        raise UnusableError("record is neither a query, nor an object, nor a text")
    text = next((row[name] for name in _TEXT_FIELDS if row.get(name) is not None), None)
    if not isinstance(text, str):
        raise UnusableError("query is missing" if text is None else "query is no text")
    if not text.strip():
        raise UnusableError("query is blank")
    if "\0" in text:
        raise UnusableError("query holds NUL characters")
    judged = next((row[name] for name in _JUDGEMENT_FIELDS if row.get(name) is not None), None)
    return JudgedQuery(
        id=given_id(row, "id", "_id") or text_hash(text),
        text=text,
        judgements=None if judged is None else _judgements(judged),
    )


def _judgements(found: object) -> dict[str, int]:
    if isinstance(found, str):  # one id, never its characters
        return {found: 1}
    if isinstance(found, Mapping):
        return {str(key): _grade(grade) for key, grade in found.items()}
    if isinstance(found, list | tuple) and all(isinstance(one, str) for one in found):
        return dict.fromkeys(found, 1)
    raise UnusableError("judgements are neither grades by document id nor a list of ids")


def _grade(grade: Any) -> int:
    if isinstance(grade, float) and grade.is_integer():
        grade = int(grade)
    if isinstance(grade, bool) or not isinstance(grade, int) or grade < 0:
        raise UnusableError("grade of a document is no whole number from 0")
    return grade
