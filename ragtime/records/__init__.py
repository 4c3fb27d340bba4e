"""The plain data that travels between the parts of ragtime: frozen records without any input or output of their own."""

from ragtime.records.base import Record
from ragtime.records.retrieval import Document, RetrievalSet

__all__ = ["Document", "Record", "RetrievalSet"]
