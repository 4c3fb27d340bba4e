"""Reading passages: from folders, files, lists, retrieval sets and stores."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.records.retrieval import Document, RetrievalSet
from ragtime.services.training_data_gen.sources.given import (
    UnusableError,
    as_path,
    given_id,
    numbered,
    read_json_lines,
    repeatable,
)
from ragtime.services.training_data_gen.sources.items import BadRecord
from ragtime.services.training_data_gen.sources.passages import RawDocument, TextKind, passages_of
from ragtime.utils.hashing import content_hash, text_hash

__all__ = ["GettableStore", "document_reader"]

_log = get_logger(__name__)

_KINDS: Mapping[str, TextKind] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".rst": "text",
    ".html": "html",
    ".htm": "html",
}
_LINES = ".jsonl"
_SUFFIXES = (*_KINDS, _LINES)
_FORMATS: Mapping[str, TextKind] = {"markdown": "markdown", "md": "markdown", "html": "html", "htm": "html"}
_CORPUS = "corpus.jsonl"
_PAGE = 1000  # documents of a store at a time
_EXPECTED = "a list of documents, dicts or texts, a path, a RetrievalSet, or a store with get(ids=...)"


@runtime_checkable
class GettableStore(Protocol):
    """A store of documents in the manner of a Chroma collection."""

    def get(self, *args: Any, **options: Any) -> Mapping[str, Any]:
        """Return ``{"ids": [...], "documents": [...], "metadatas": [...]}``, of all documents when nothing is named."""
        ...


def document_reader(given: object, settings: Settings) -> Callable[[], Iterator[Document | BadRecord]]:
    """Check what was given as documents.

    Args:
        given: A folder, whose Markdown, HTML, text and JSON Lines are read, or a single such file; a list of
            ``Document``, dicts (``id`` or ``_id``, ``text``, ``title``, ``metadata``, ``format``) or texts; a
            ``RetrievalSet``; or a store with ``get(ids=...)``. Of a folder that holds ``corpus.jsonl``, this is all
            that is read. Further fields of a dict become metadata; text whose ``format`` is ``markdown`` or ``html``
            is divided by its headings.
        settings: Tells how long a passage may be.

    Returns:
        What reads the passages. A document without an id has the path in its folder, or a hash of its content.

    Raises:
        InvalidArgumentError: It is nothing of that.
    """
    limit = settings.training_data.max_passage_characters
    if isinstance(given, RetrievalSet):
        return partial(_read_items, given.corpus.values(), limit)
    path = as_path(given, "documents", suffixes=_SUFFIXES, folder=True)
    if path is not None and path.is_dir():
        corpus = path / _CORPUS
        if corpus.is_file():
            _log.info("Of the folder of documents, its corpus alone is read", folder=str(path), file=_CORPUS)
            return partial(_read_file, corpus, _CORPUS, limit)
        if not any(name.suffix.lower() in _SUFFIXES for name in _files(path)):
            raise InvalidArgumentError(
                f"documents: the folder {str(path)!r} holds no file that ends with {', '.join(_SUFFIXES)}"
            )
        return partial(_read_folder, path, limit)
    if path is not None:
        return partial(_read_file, path, path.name, limit)
    if isinstance(given, GettableStore) and not isinstance(given, Mapping):
        return partial(_read_store, given, limit)
    return partial(_read_items, repeatable(given, "documents", _EXPECTED), limit)


# --- files --------------------------------------------------------------------------------------------------------


def _files(root: Path) -> list[Path]:
    """Return what is not hidden in a folder and those below it, sorted by path: files, and links to folders."""
    found = []
    for folder, names, files in os.walk(root):
        inside = Path(folder)
        links = [name for name in names if (inside / name).is_symlink()]
        names[:] = [name for name in names if not name.startswith(".") and name not in links]
        found += [inside / name for name in (*files, *links) if not name.startswith(".")]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _read_folder(root: Path, limit: int) -> Iterator[Document | BadRecord]:
    passed_over: dict[str, int] = {}
    inside = Path(os.path.realpath(root))
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() and (path.is_dir() or not Path(os.path.realpath(path)).is_relative_to(inside)):
            yield BadRecord("link to a folder, or out of the folder", _shown(name))
        elif path.suffix.lower() in _SUFFIXES:
            yield from _read_file(path, name, limit)
        else:
            passed_over[path.suffix.lower()] = passed_over.get(path.suffix.lower(), 0) + 1
    if passed_over:
        _log.info("Files of other kinds are passed over", files=sum(passed_over.values()), kinds=sorted(passed_over))


def _read_file(path: Path, name: str, limit: int) -> Iterator[Document | BadRecord]:
    suffix, where = path.suffix.lower(), _shown(name)
    if suffix == _LINES:
        yield from _read_records(read_json_lines(path, where), limit)
        return
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError:
        yield BadRecord("file cannot be read", where)
    except UnicodeDecodeError:
        yield BadRecord("file is no text in UTF-8", where)
    else:
        yield from passages_of(RawDocument(name, text, _KINDS[suffix], None, {}), limit, where)


def _shown(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


# --- what is in memory, or in a store -----------------------------------------------------------------------------


def _read_items(items: Iterable[object], limit: int) -> Iterator[Document | BadRecord]:
    yield from _read_records(numbered(items, "documents"), limit)


def _read_records(records: Iterable[tuple[str, object]], limit: int) -> Iterator[Document | BadRecord]:
    for where, record in records:
        if isinstance(record, BadRecord):
            yield record
            continue
        try:
            raw = _raw(record)
        except UnusableError as error:
            yield BadRecord(str(error), where)
            continue
        yield from passages_of(raw, limit, where)


def _raw(record: object) -> RawDocument:
    if isinstance(record, Document):
        return RawDocument(record.id, record.text, "text", record.title, record.metadata)
    if isinstance(record, str):
        return RawDocument(text_hash(record), record, "text", None, {})
    if not isinstance(record, Mapping):
        raise UnusableError("record is neither a document, nor an object, nor a text")
    text, title = record.get("text"), record.get("title")
    if not isinstance(text, str):
        raise UnusableError("text is missing" if text is None else "text is no text")
    if title is not None and not isinstance(title, str):
        raise UnusableError("title is no text")
    metadata = record.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise UnusableError("metadata is no object")
    extra = {name: value for name, value in record.items() if name not in {"id", "_id", "text", "title", "metadata"}}
    kind = _FORMATS.get(str(record.get("format")).lower(), "text")
    own_id = given_id(record, "id", "_id") or content_hash([title, text])
    return RawDocument(own_id, text, kind, (title or "").strip() or None, {**extra, **metadata})


def _read_store(store: GettableStore, limit: int) -> Iterator[Document | BadRecord]:
    number = 0
    for page in _pages(store):
        columns = (page.get("ids") or [], page.get("documents") or [], page.get("metadatas") or [])
        for own_id, text, metadata in zip_longest(*columns):
            number += 1
            where = f"documents, record {number}"
            fields = dict(metadata) if isinstance(metadata, Mapping) else {}
            title = fields.pop("title", None)
            row = {"id": own_id, "text": text, "title": title, "metadata": fields}
            yield from _read_records([(where, row)], limit)


def _pages(store: GettableStore) -> Iterator[Mapping[str, Any]]:
    """Read a store page by page where it can, else all at once."""
    if not {"limit", "offset"} <= set(inspect.signature(store.get).parameters):
        yield store.get()
        return
    offset = 0
    while count := len((page := store.get(limit=_PAGE, offset=offset)).get("ids") or []):
        yield page
        offset += count
