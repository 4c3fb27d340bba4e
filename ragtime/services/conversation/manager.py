"""All conversations of an application: stored, found again, and forgotten for good."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import ConversationStore, TextEncoder
from ragtime.records.conversation import ConversationHead, now
from ragtime.services.conversation.async_twin import async_twin
from ragtime.services.conversation.conversation import Conversation
from ragtime.services.conversation.embedder import ConversationEmbedder
from ragtime.services.conversation.enhanced import EnhancedConversation
from ragtime.services.conversation.forgetting import ForgetReceipt, forget_vectors
from ragtime.services.conversation.intake import take_in
from ragtime.services.conversation.keeping import SharedParts, not_found, open_store
from ragtime.services.conversation.manager_statistics import ManagerStatistics, count_turns
from ragtime.services.conversation.summaries import ConversationSummarizer
from ragtime.services.conversation.transfer import export_file, import_file
from ragtime.services.conversation.user_search import FoundInConversation, SearchMode

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["ConversationManager", "ForgetReceipt", "ManagerStatistics"]

_log = get_logger(__name__)


class ConversationManager:
    """The conversations of one user, or of an application without users.

        >>> from ragtime.storage.conversations import MemoryConversationStore
        >>> manager = ConversationManager(store=MemoryConversationStore())
        >>> conversation = manager.create_conversation("kept")
        >>> _ = conversation.add_interaction("user", "Remember the blue door.")
        >>> [turn.content for turn in manager.get_conversation("kept")]
        ['Remember the blue door.']

    In a conversation that comes from here, a turn is durable once adding it returns. Every call is about one user:
    that of the manager, or the one it names. Methods may be called from many threads, and processes may share the file.
    Each that reads or writes has an async twin with an ``a`` before its name, which does not block the event loop.

    Attributes:
        store: Where the conversations rest.
        user_id: Whose conversations they are when a call names nobody.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: ConversationStore | None = None,
        user_id: str | None = None,
        encoder: TextEncoder | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Open the store.

        Args:
            settings: The settings; ``None`` means the current ones.
            store: Where conversations rest; ``None`` means what ``conversation.store`` says: a SQLite file in
                ``data_dir``, or memory.
            user_id: Whose conversations; ``None`` for an application without users.
            encoder: Embeds turns and questions; ``None`` means that of section ``embedding``.
            clock: Returns the current time with a time zone; ``None`` means that of the machine.

        Raises:
            StorageError: The file cannot be opened.
        """
        self.settings = settings or get_settings()
        self.user_id = user_id
        self.store = open_store(self.settings) if store is None else store
        self._clock = clock
        self._parts = SharedParts(self.settings, self.store, encoder, clock)

    @property
    def embedder(self) -> ConversationEmbedder:
        """What embeds turns and questions, one for all conversations."""
        return self._parts.embedder

    @property
    def summarizer(self) -> ConversationSummarizer:
        """What summarises, one for all conversations."""
        return self._parts.summarizer

    # --- one conversation ---------------------------------------------------------------------------------------

    def create_conversation(
        self,
        conversation_id: str | None = None,
        *,
        user_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> EnhancedConversation:
        """Begin a conversation that is kept.

        Args:
            conversation_id: Identifies it among those of the user; ``None`` means a new UUID.
            user_id: Whose it is; ``None`` means the manager's user.
            metadata: Anything that JSON can hold; ``None`` means nothing.

        Returns:
            The conversation, attached to the store.

        Raises:
            ConversationExistsError: The user has one with this id.
            StorageError: It cannot be stored.
        """
        fresh = Conversation(
            conversation_id,
            user_id=self._whose(user_id),
            metadata=metadata,
            settings=self.settings,
            clock=self._clock,
        )
        self.store.create(fresh.head)
        return self._parts.conversation(fresh.head, ())

    def get_conversation(self, conversation_id: str, *, user_id: str | None = None) -> EnhancedConversation:
        """Return a conversation as it was stored.

        Args:
            conversation_id: The conversation.
            user_id: Whose it is; ``None`` means the manager's user.

        Returns:
            The conversation, attached to the store.

        Raises:
            ConversationNotFoundError: The user has none with this id; also a ``KeyError``.
            StorageError: It cannot be read.
        """
        head = self.store.head(self._whose(user_id), conversation_id)
        if head is None:
            raise not_found(self.store, self._whose(user_id), conversation_id)
        return self._parts.conversation(head, self.store.turns(head.user_id, head.id))

    def save_conversation(self, conversation: Conversation) -> None:
        """Store a conversation that was made without the manager, or what is not stored yet of one.

        Saving twice changes nothing. Of a conversation that the manager returned, turns and metadata are stored
        already. One without a user becomes the manager's user's.

        Args:
            conversation: The conversation.

        Raises:
            InvalidArgumentError: The user has another conversation with this id, whose turns are different.
            StorageError: It cannot be stored.
        """
        head = conversation.head
        head = head.model_copy(update={"user_id": self._whose(head.user_id)})
        with log_operation(_log, "save_conversation", conversation_id=head.id) as operation:
            turns = conversation.stored_turns()
            if not conversation.is_attached_to(self.store):  # else all of it is stored
                whole = head.model_copy(update={"fork": None})  # all turns are its own
                if take_in(self.store, whole, turns):
                    self.store.update(head.user_id, head.id, tip=head.tip, metadata=dict(head.metadata))
            operation.add(turns=len(turns))

    def delete_conversation(self, conversation_id: str, *, user_id: str | None = None) -> ForgetReceipt:
        """Remove a conversation for good; see ``forget``."""
        return self.forget(conversation_id=conversation_id, user_id=user_id)

    # --- many conversations -------------------------------------------------------------------------------------

    def list_conversations(
        self,
        *,
        user_id: str | None = None,
        where: Mapping[str, Any] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> list[ConversationHead]:
        """List conversations, the newest first.

        Args:
            user_id: Whose; ``None`` means the manager's user.
            where: Only those whose metadata has these values; ``None`` means all.
            since: Only those that began then or later; ``None`` means all.
            until: Only those that began before; ``None`` means all.
            limit: Most to return; ``None`` means all.
            after: The last one of the page before; ``None`` means from the first.

        Returns:
            What is known of each besides its turns.
        """
        return self.store.conversations(
            self._whose(user_id), where=where, since=since, until=until, limit=limit, after=after
        )

    def search(
        self, query: str, *, k: int = 10, mode: SearchMode = "hybrid", user_id: str | None = None
    ) -> list[FoundInConversation]:
        """Find turns in all conversations of a user.

        Args:
            query: The question.
            k: Most turns to return.
            mode: ``lexical`` (words), ``semantic`` (meaning) or ``hybrid`` (both).
            user_id: Whose; ``None`` means the manager's user.

        Returns:
            The turns with their conversations, the best first.

        Raises:
            InvalidArgumentError: The question is blank, or `k` or `mode` is wrong.
            BackendError: The model failed; ``lexical`` needs none.
        """
        whose = self._whose(user_id)
        with log_operation(_log, "search_conversations", mode=mode) as operation:
            search = self._parts.search_of(whose)
            found = search.find(query, k=k, mode=mode, encoder=lambda: self.embedder.encoder)
            operation.add(found=len(found))
        return found

    def statistics(self, *, user_id: str | None = None) -> ManagerStatistics:
        """Count conversations and turns of a user; reads all of them, some hundred at a time.

        Args:
            user_id: Whose; ``None`` means the manager's user.

        Returns:
            The counts.

        Raises:
            StorageError: They cannot be read.
        """
        return count_turns(self.store, self._whose(user_id))

    # --- forgetting ---------------------------------------------------------------------------------------------

    def forget(
        self,
        *,
        conversation_id: str | None = None,
        turn_id: str | None = None,
        user_id: str | None = None,
        everything: bool = False,
    ) -> ForgetReceipt:
        """Remove turns for good: from the store, its text index, vectors, the embedding cache and summaries.

        Conversations that were taken out before keep what they hold in memory; take them out anew.

        Args:
            conversation_id: A conversation.
            turn_id: A single turn of it; ``None`` means the whole conversation.
            user_id: Whose; ``None`` means the manager's user.
            everything: Whether to forget all of the user, where no conversation is named.

        Returns:
            What was removed.

        Raises:
            InvalidArgumentError: Nothing is named, or a turn without its conversation.
            ConversationNotFoundError: The user has no such conversation.
            StorageError: Something cannot be removed; says what.
        """
        if conversation_id is not None and everything:
            raise InvalidArgumentError("Name a conversation, or say everything=True; not both")
        if conversation_id is None and not everything:
            raise InvalidArgumentError("Name the conversation to forget, or say everything=True for all of the user")
        whose = self._whose(user_id)
        with log_operation(_log, "forget", conversation_id=conversation_id, turn_id=turn_id) as operation:
            removed = self.store.forget(whose, conversation_id=conversation_id, turn_id=turn_id)
            self._parts.forget(whose)
            vectors = forget_vectors(self.settings, [turn.interaction for _, turn in removed])
            operation.add(turns=len(removed), cached_vectors=vectors)
        held = {found for found, _ in removed} | ({conversation_id} if conversation_id else set())
        return ForgetReceipt(whose, tuple(sorted(held)), len(removed), vectors, (self._clock or now)())

    # --- export and import --------------------------------------------------------------------------------------

    def export_conversations(self, path: str | Path, *, user_id: str | None = None) -> int:
        """Write all conversations of a user as JSON Lines, whole or not at all, in little memory however many they are.

        A conversation is one line, the object of ``Conversation.to_dict``; a long one goes on in further lines.

        Args:
            path: The file.
            user_id: Whose; ``None`` means the manager's user.

        Returns:
            How many were written.

        Raises:
            StorageError: The file cannot be written, or turns are forgotten at the same time.
        """
        return export_file(self.store, path, self._whose(user_id), mode=self.settings.logging.progress)

    def import_conversations(self, path: str | Path, *, user_id: str | None = None) -> int:
        """Read conversations that ``export_conversations`` wrote, or dicts of the old modules, in little memory.

        A conversation that is there already is completed, not doubled. An import that was interrupted, or that met a
        wrong line, is completed by running it again; until then the conversation it had begun to store, if that is
        longer than a line, has ``ragtime.unfinished_import`` in its metadata.

        Args:
            path: The file.
            user_id: Whose they become; ``None`` means the manager's user.

        Returns:
            How many were read.

        Raises:
            StorageError: The file cannot be read.
            InvalidArgumentError: A line is no conversation, or one is missing; names it. Those before it are stored.
        """
        return import_file(self.store, path, self._whose(user_id), mode=self.settings.logging.progress)

    # --- inside -------------------------------------------------------------------------------------------------

    def _whose(self, user_id: str | None) -> str | None:
        return self.user_id if user_id is None else user_id

    def close(self) -> None:
        """Let go of files."""
        self.store.close()

    # --- async twins --------------------------------------------------------------------------------------------

    acreate_conversation = async_twin(create_conversation)
    aget_conversation = async_twin(get_conversation)
    asave_conversation = async_twin(save_conversation)
    adelete_conversation = async_twin(delete_conversation)
    alist_conversations = async_twin(list_conversations)
    asearch = async_twin(search)
    astatistics = async_twin(statistics)
    aforget = async_twin(forget)
    aexport_conversations = async_twin(export_conversations)
    aimport_conversations = async_twin(import_conversations)
    aclose = async_twin(close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
