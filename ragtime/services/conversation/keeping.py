"""What a manager stands on: its store, and the parts that all its conversations share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from ragtime.config.settings import Settings
from ragtime.errors import ConfigurationError, ConversationNotFoundError, MissingExtraError, did_you_mean
from ragtime.protocols import ConversationStore, TextEncoder
from ragtime.records.conversation import ConversationHead, StoredTurn
from ragtime.services.conversation.embedder import ConversationEmbedder
from ragtime.services.conversation.enhanced import EnhancedConversation
from ragtime.services.conversation.summaries import ConversationSummarizer
from ragtime.services.conversation.user_search import UserSearch
from ragtime.storage.conversations import MemoryConversationStore, SQLiteConversationStore

__all__ = ["SharedParts", "not_found", "open_store"]

_FILE = "conversations.sqlite"
_HINTS = 1000  # conversations among which one of a similar id is looked for


def open_store(settings: Settings) -> ConversationStore:
    """Open the store that the settings name; raises ``StorageError`` where that cannot be."""
    if settings.conversation.store == "memory":
        return MemoryConversationStore()
    return SQLiteConversationStore(settings.data_path(_FILE), durability=settings.conversation.durability)


def not_found(store: ConversationStore, user_id: str | None, conversation_id: str) -> ConversationNotFoundError:
    """Return the error for a conversation that a user does not have, with one of a similar id."""
    known = [head.id for head in store.conversations(user_id, limit=_HINTS)]
    hint = did_you_mean(conversation_id, known)
    return ConversationNotFoundError(f"There is no conversation {conversation_id[:100]!r} of this user{hint}")


class SharedParts:
    """One embedder and one summarizer for all conversations, and one search for each user.

    Each is made when it is needed, and once, whichever thread asks first.
    """

    def __init__(
        self,
        settings: Settings,
        store: ConversationStore,
        encoder: TextEncoder | None,
        clock: Callable[[], datetime] | None,
    ) -> None:
        """Begin without any part.

        Args:
            settings: The settings of the parts.
            store: Where the conversations rest.
            encoder: Embeds turns and questions; ``None`` means that of section ``embedding``.
            clock: The clock of the conversations; ``None`` means that of the machine.
        """
        self._settings, self._store, self._encoder, self._clock = settings, store, encoder, clock
        self._lock = threading.RLock()
        self._embedder: ConversationEmbedder | None = None
        self._summarizer: ConversationSummarizer | None = None
        self._searches: dict[str | None, UserSearch] = {}

    @property
    def embedder(self) -> ConversationEmbedder:
        """What embeds turns and questions."""
        with self._lock:
            if self._embedder is None:
                self._embedder = ConversationEmbedder(self._settings, encoder=self._encoder)
            return self._embedder

    @property
    def summarizer(self) -> ConversationSummarizer:
        """What summarises."""
        with self._lock:
            if self._summarizer is None:
                try:
                    encoder = self.embedder.encoder
                except (ConfigurationError, MissingExtraError):  # told where a summary cannot do without
                    encoder = None
                self._summarizer = ConversationSummarizer(self._settings, encoder=encoder)
            return self._summarizer

    def search_of(self, user_id: str | None) -> UserSearch:
        """Return the search over the conversations of a user."""
        with self._lock:
            return self._searches.setdefault(user_id, UserSearch(self._store, user_id))

    def conversation(self, head: ConversationHead, turns: Iterable[StoredTurn]) -> EnhancedConversation:
        """Return a stored conversation, attached to the store, with these parts.

        Args:
            head: What is known of it.
            turns: Its turns.

        Returns:
            The conversation; it asks for the parts when it needs them, so that a model is loaded once for all.
        """
        made = EnhancedConversation._restored(  # noqa: SLF001 - the manager's own door, and the next one, too
            head, turns, settings=self._settings, clock=self._clock, store=self._store
        )
        made._equip(None, None, None, self)  # noqa: SLF001
        return made

    def forget(self, user_id: str | None) -> None:
        """Drop all that is kept of what a user said; it is read again when it is needed."""
        with self._lock:
            self._searches.pop(user_id, None)
            summarizer = self._summarizer
        if summarizer is not None:
            summarizer.forget(user_id)  # forks may hold the same turns
