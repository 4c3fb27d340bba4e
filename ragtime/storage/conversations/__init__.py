"""Where conversations rest: in memory, or in one SQLite file that many processes share."""

from __future__ import annotations

from ragtime.storage.conversations.memory import MemoryConversationStore
from ragtime.storage.conversations.sqlite.store import Durability, SQLiteConversationStore

__all__ = ["Durability", "MemoryConversationStore", "SQLiteConversationStore"]
