"""All passages of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragtime.records.retrieval import Document
    from ragtime.services.training_data_gen.staging import Staging

__all__ = ["Corpus"]


class Corpus:
    """The passages, on disk, in the order of their ids.

    Attributes:
        fingerprint: Hash of all passages.
    """

    def __init__(self, staging: Staging, fingerprint: str) -> None:
        """Read the passages of a working file."""
        self._staging = staging
        self._count = staging.document_count()
        self.fingerprint = fingerprint

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Document]:
        return self._staging.all_documents()

    def get(self, document_id: str) -> Document | None:
        """Return a passage; ``None`` when there is none of this id."""
        return self._staging.documents([document_id]).get(document_id)

    def find(self, ids: Sequence[str]) -> dict[str, Document]:
        """Return the passages of some ids; those that are not there are left out."""
        return self._staging.documents(ids)

    def parts_of(self, document_id: str) -> list[str]:
        """Return the passages that stand for a document: itself, or the parts it was divided into; none if unknown."""
        return [document_id] if self.get(document_id) is not None else self._staging.parts_of(document_id)
