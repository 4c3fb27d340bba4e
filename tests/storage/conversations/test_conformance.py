"""Both stores do what every store must."""

from __future__ import annotations

from pathlib import Path

from ragtime.storage.conversations import MemoryConversationStore, SQLiteConversationStore
from ragtime.testing.store_conformance import StoreConformance


class TestMemoryConversationStore(StoreConformance):
    def make_store(self, folder: Path) -> MemoryConversationStore:  # noqa: ARG002
        return MemoryConversationStore()


class TestSQLiteConversationStore(StoreConformance):
    def make_store(self, folder: Path) -> SQLiteConversationStore:
        return SQLiteConversationStore(folder / "sub" / "conversations.sqlite")


class TestDurableSQLiteConversationStore(StoreConformance):
    def make_store(self, folder: Path) -> SQLiteConversationStore:
        return SQLiteConversationStore(folder / "conversations.sqlite", durability="full")
