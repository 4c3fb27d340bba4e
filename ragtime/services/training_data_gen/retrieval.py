"""Searching the passages: by words, or by vectors where there is an encoder."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from ragtime.protocols import TextEncoder
from ragtime.services.conversation.lexical import LexicalIndex
from ragtime.services.training_data_gen.corpus import Corpus
from ragtime.storage.vectors import Hit, VectorIndex
from ragtime.utils.progress import track

__all__ = ["DenseRetriever", "LexicalRetriever", "Retriever"]

_AT_ONCE = 1024  # passages embedded in one call


class Retriever(Protocol):
    """Finds passages."""

    @property
    def name(self) -> str:
        """What the search goes by: ``bm25`` or ``dense``."""
        ...

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Find the best passages of each query.

        Args:
            queries: The queries.
            k: Most passages of each.

        Returns:
            For each query its passages, the best first, equally good ones by id.
        """
        ...


class LexicalRetriever:
    """BM25 over stems; the index is made at the first search."""

    name = "bm25"

    def __init__(self, corpus: Corpus) -> None:
        """Search a corpus."""
        self._corpus = corpus
        self._lock = threading.Lock()
        self._index: LexicalIndex | None = None
        self._ids: list[str] = []

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Find the best passages of each query; only those that hold one of its words. See ``Retriever``."""
        index = self._built()
        # Passages are added in the order of their ids, by which the index breaks ties.
        return [[Hit(self._ids[place], score) for place, score in index.search(query, k)] for query in queries]

    def _built(self) -> LexicalIndex:
        with self._lock:
            if self._index is None:
                index = LexicalIndex()
                for document in self._corpus:
                    index.add(document.content)
                    self._ids.append(document.id)
                self._index = index
            return self._index


class DenseRetriever:
    """Exact search by inner products; the passages are embedded at the first search.

    Attributes:
        encoder: Embeds passages and queries.
    """

    name = "dense"

    def __init__(self, corpus: Corpus, encoder: TextEncoder) -> None:
        """Search a corpus.

        Args:
            corpus: The passages.
            encoder: Embeds passages and queries.
        """
        self._corpus = corpus
        self.encoder = encoder
        self._lock = threading.Lock()
        self._index: VectorIndex | None = None

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """Find the best passages of each query; see ``Retriever``."""
        index = self.index()
        return index.search(self.encoder.encode(list(queries), role="query"), k) if queries else []

    def index(self) -> VectorIndex:
        """Return the vectors of all passages, by id."""
        with self._lock:
            if self._index is None:
                index = VectorIndex(self.encoder.dimension, fingerprint=self.encoder.fingerprint("passage"))
                with track("Embedding passages", total=len(self._corpus), unit="passages") as progress:
                    documents = iter(self._corpus)
                    while some := list(islice(documents, _AT_ONCE)):
                        vectors = self.encoder.encode([document.content for document in some], role="passage")
                        index.add([document.id for document in some], vectors)
                        progress.advance(len(some))
                self._index = index
            return self._index
