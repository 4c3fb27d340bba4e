"""Conversations in one SQLite file."""

from __future__ import annotations

from ragtime.storage.conversations.sqlite.store import Durability, SQLiteConversationStore

__all__ = ["Durability", "SQLiteConversationStore"]
