"""Reading judged retrieval sets from folders in the layout of the BEIR collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ragtime.errors import StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.records import Document, RetrievalSet
from ragtime.utils.files import read_jsonl

__all__ = ["load_retrieval_set"]

_log = get_logger(__name__)


def load_retrieval_set(folder: str | Path, *, split: str = "test") -> RetrievalSet:
    """Read a retrieval set from a folder.

    The files are ``corpus.jsonl`` and queries, each line an object with ``id`` (or ``_id``) and ``text``, documents
    also with a ``title``; and judgements, tab-separated, with or without a header line: query id, document id, grade.
    Queries are those of ``queries-SPLIT.jsonl`` or else ``queries.jsonl``, judgements those of ``qrels-SPLIT.tsv`` or
    else ``qrels/SPLIT.tsv``. Further fields of a document become its metadata.

    Args:
        folder: The folder.
        split: The part to read, such as ``train`` or ``test``.

    Returns:
        The set, with the judged queries of the split only, named after the folder.

    Raises:
        StorageError: A file is missing or malformed, or the parts do not fit together; names file and line.
    """
    root = Path(folder)
    with log_operation(_log, "load_retrieval_set", folder=str(root), split=split) as operation:
        corpus_file = _first(root, "corpus.jsonl")
        queries_file = _first(root, f"queries-{split}.jsonl", "queries.jsonl")
        judgements = _judgements(_first(root, f"qrels-{split}.tsv", f"qrels/{split}.tsv"))
        texts: dict[str, str] = {}
        for line, row in read_jsonl(queries_file):
            key = _id(row, queries_file, line)
            if key in texts:
                raise StorageError(f"{queries_file}, line {line}: another query with the id {key!r}")
            texts[key] = _text(row, queries_file, line)
        documents: dict[str, Document] = {}
        for line, document in _documents(corpus_file):
            if document.id in documents:
                raise StorageError(f"{corpus_file}, line {line}: another document with the id {document.id!r}")
            documents[document.id] = document
        queries = {key: text for key, text in texts.items() if key in judgements}
        try:
            found = RetrievalSet(queries=queries, corpus=documents, judgements=judgements, name=root.resolve().name)
        except ValidationError as error:
            message = _reasons(error)
        else:
            operation.add(documents=len(documents), judged=len(queries))
            return found
        raise StorageError(f"{root}: {message}")


def _first(root: Path, *names: str) -> Path:
    for name in names:
        try:
            if (root / name).is_file():
                return root / name
        except OSError as error:
            raise StorageError(f"Cannot read {str(root)!r}: {error.strerror}") from error
    raise StorageError(f"There is no {' or '.join(names)} in {str(root)!r}")


def _documents(path: Path) -> Iterator[tuple[int, Document]]:
    for line, row in read_jsonl(path):
        extra = {key: value for key, value in row.items() if key not in {"id", "_id", "text", "title"}}
        metadata = extra.pop("metadata", {}) if isinstance(extra.get("metadata"), Mapping) else {}
        try:
            document = Document(
                id=_id(row, path, line),
                text=row.get("text", ""),
                title=row.get("title") or None,
                metadata={**extra, **metadata},
            )
        except ValidationError as error:
            message = _reasons(error)
        else:
            yield line, document
            continue
        raise StorageError(f"{path}, line {line}: {message}")


def _id(row: Mapping[str, Any], path: Path, line: int) -> str:
    found = row.get("id", row.get("_id"))
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise StorageError(f"{path}, line {line}: no id")
    return str(found)


def _text(row: Mapping[str, Any], path: Path, line: int) -> str:
    found = row.get("text")
    if not isinstance(found, str) or not found.strip():
        raise StorageError(f"{path}, line {line}: no text")
    return found


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = {}
    for line, row in _rows(path):
        try:
            query, document, grade = row[0], row[1], int(row[2])
        except (ValueError, IndexError):
            if line == 1:  # the header
                continue
            raise StorageError(
                f"{path}, line {line}: expected query id, document id and a whole grade, between tabs"
            ) from None
        judged = judgements.setdefault(query, {})
        if grade < 0 or judged.setdefault(document, grade) != grade:
            what = "a negative grade" if grade < 0 else f"another grade for {query!r} and {document!r}"
            raise StorageError(f"{path}, line {line}: {what}")
    if not judgements:
        raise StorageError(f"{path}: there are no judgements in it")
    return judgements


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield line, text.rstrip("\r\n").split("\t")
    except OSError as error:
        raise StorageError(f"Cannot read {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise StorageError(f"{path}: is not UTF-8") from None


def _reasons(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}".removeprefix(": ").replace("Value error, ", "")
        for detail in error.errors(include_url=False, include_input=False, include_context=False)
    )
