"""Exact vector search, in memory or in a folder that survives a crash."""

from __future__ import annotations

from ragtime.storage.vectors.index import VectorIndex
from ragtime.storage.vectors.search import Hit

__all__ = ["Hit", "VectorIndex"]
