"""All conversations of an application: stored, found again, and forgotten for good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import (
    ConversationExistsError,
    ConversationNotFoundError,
    InvalidArgumentError,
    did_you_mean,
)
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import ConversationStore, TextEncoder
from ragtime.records.conversation import ConversationHead, Interaction, StoredTurn
from ragtime.services.conversation.conversation import Conversation
from ragtime.services.conversation.embedder import ConversationEmbedder, embedded_text
from ragtime.services.conversation.enhanced import EnhancedConversation
from ragtime.services.conversation.formats.native import from_native, to_native
from ragtime.services.conversation.recall_keys import key_text
from ragtime.services.conversation.summaries import ConversationSummarizer
from ragtime.services.conversation.summaries.pieces import embedded_pieces
from ragtime.services.conversation.user_search import FoundInConversation, SearchMode, UserSearch
from ragtime.storage.conversations import MemoryConversationStore, SQLiteConversationStore
from ragtime.utils.files import atomic_writer, read_jsonl

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["ConversationManager", "ForgetReceipt", "ManagerStatistics"]

_log = get_logger(__name__)
_FILE = "conversations.sqlite"


@dataclass(frozen=True)
class ForgetReceipt:
    """What was removed for good.

    Attributes:
        user_id: Whose turns.
        conversation_ids: The conversations that held them.
        turns: How many turns.
        cached_vectors: How many entries of the embedding cache.
        at: When, in UTC.
    """

    user_id: str | None
    conversation_ids: tuple[str, ...]
    turns: int
    cached_vectors: int
    at: datetime


@dataclass(frozen=True)
class ManagerStatistics:
    """How much there is.

    Attributes:
        conversations: Conversations of the user.
        turns: Turns stored in them, of all branches.
        by_role: Turns by role.
        rated: Turns with feedback.
    """

    conversations: int
    turns: int
    by_role: Mapping[str, int]
    rated: int


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
        self.store = _open_store(self.settings) if store is None else store
        self._clock = clock
        self._given_encoder = encoder
        self._embedder: ConversationEmbedder | None = None
        self._summarizer: ConversationSummarizer | None = None
        self._searches: dict[str | None, UserSearch] = {}

    @property
    def embedder(self) -> ConversationEmbedder:
        """What embeds turns and questions, one for all conversations."""
        if self._embedder is None:
            self._embedder = ConversationEmbedder(self.settings, encoder=self._given_encoder)
        return self._embedder

    @property
    def summarizer(self) -> ConversationSummarizer:
        """What summarises, one for all conversations."""
        if self._summarizer is None:
            self._summarizer = ConversationSummarizer(self.settings, encoder=self._given_encoder)
        return self._summarizer

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
        return self._attached(fresh.head, ())

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
            raise self._not_found(conversation_id, user_id)
        return self._attached(head, self.store.turns(head.user_id, head.id))

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
                self._take_in(head.model_copy(update={"fork": None}), turns, renew=True)  # all turns are its own
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
            search = self._searches.setdefault(whose, UserSearch(self.store, whose))
            found = search.find(query, k=k, mode=mode, encoder=lambda: self.embedder.encoder)
            operation.add(found=len(found))
        return found

    def statistics(self, *, user_id: str | None = None) -> ManagerStatistics:
        """Count conversations and turns of a user; reads all of them."""
        whose = self._whose(user_id)
        roles: dict[str, int] = {}
        rated = turns = 0
        for _, _, turn in self.store.changes(whose):
            turns += 1
            roles[turn.interaction.role] = roles.get(turn.interaction.role, 0) + 1
            rated += bool(turn.interaction.feedback)
        return ManagerStatistics(len(self.store.conversations(whose)), turns, dict(sorted(roles.items())), rated)

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
            self._searches.pop(whose, None)
            if self._summarizer is not None:
                self._summarizer.forget(whose)  # forks may hold the same turns
            vectors = self._forget_vectors([turn.interaction for _, turn in removed])
            operation.add(turns=len(removed), cached_vectors=vectors)
        held = {found for found, _ in removed} | ({conversation_id} if conversation_id else set())
        at = self._clock() if self._clock is not None else Interaction(role="user", content="-").created_at
        return ForgetReceipt(whose, tuple(sorted(held)), len(removed), vectors, at)

    def _forget_vectors(self, interactions: list[Interaction]) -> int:
        # Another turn with the same words only has to be embedded again.
        from ragtime.backends.encoders.factory import open_embedding_cache  # noqa: PLC0415 - only where something is forgotten

        cache = open_embedding_cache(self.settings)
        if cache is None or not cache.path.exists() or not interactions:
            return 0
        with cache:
            texts = {text for turn in interactions for text in (turn.content, embedded_text(turn), key_text(turn))}
            texts |= {text for turn in interactions for text in embedded_pieces(turn)}
            return cache.remove(sorted(text for text in texts if text))

    # --- export and import --------------------------------------------------------------------------------------

    def export_conversations(self, path: str | Path, *, user_id: str | None = None) -> int:
        """Write all conversations of a user as JSON Lines, one a line, whole or not at all.

        Args:
            path: The file.
            user_id: Whose; ``None`` means the manager's user.

        Returns:
            How many were written.

        Raises:
            StorageError: The file cannot be written.
        """
        with log_operation(_log, "export_conversations") as operation, atomic_writer(path) as file:
            written = 0
            for line in self._exported(self._whose(user_id)):
                file.write(line)
                written += 1
            operation.add(conversations=written)
        return written

    def _exported(self, user_id: str | None) -> Iterator[str]:
        for head in self.store.conversations(user_id):
            data = to_native(head.model_copy(update={"fork": None}), list(self.store.turns(user_id, head.id)))
            yield json.dumps(data, ensure_ascii=False) + "\n"

    def import_conversations(self, path: str | Path, *, user_id: str | None = None) -> int:
        """Read conversations that ``export_conversations`` wrote, or dicts of the old modules, one a line.

        A conversation that is there already is completed, not doubled.

        Args:
            path: The file.
            user_id: Whose they become; ``None`` means the manager's user.

        Returns:
            How many were read.

        Raises:
            StorageError: The file cannot be read.
            InvalidArgumentError: A line is no conversation; names it. Those before it are stored.
        """
        whose = self._whose(user_id)
        read = 0
        with log_operation(_log, "import_conversations") as operation:
            for number, data in read_jsonl(path):
                try:
                    head, turns = from_native(data)
                    self._take_in(head.model_copy(update={"user_id": whose, "fork": None}), turns)
                except InvalidArgumentError as error:
                    raise InvalidArgumentError(f"{path}, line {number}: {error}") from None
                read += 1
            operation.add(conversations=read)
        return read

    def _take_in(self, head: ConversationHead, turns: list[StoredTurn], *, renew: bool = False) -> None:
        """Store a conversation, or what is missing of it; `renew` its metadata and active branch, too."""
        try:
            self.store.create(head, turns)
        except ConversationExistsError:
            self._complete(head, turns)
            if renew:
                self.store.update(head.user_id, head.id, tip=head.tip, metadata=dict(head.metadata))

    def _complete(self, head: ConversationHead, turns: list[StoredTurn]) -> None:
        stored = {turn.interaction.id: turn.interaction for turn in self.store.turns(head.user_id, head.id)}
        if stored and turns and not any(turn.interaction.id in stored for turn in turns):
            raise InvalidArgumentError(f"There is another conversation with the id {head.id[:100]!r}, of other turns")
        bare = [
            StoredTurn(interaction=turn.interaction.model_copy(update={"feedback": ()}), parent_id=turn.parent_id)
            for turn in turns
            if turn.interaction.id not in stored
        ]
        known = [turn for turn in turns if turn.interaction.id in stored]
        same = [
            StoredTurn(
                interaction=turn.interaction.model_copy(update={"feedback": stored[turn.interaction.id].feedback}),
                parent_id=turn.parent_id,
            )
            for turn in known
        ]
        self.store.append(head.user_id, head.id, [*same, *bare])  # what is there is compared, and passed over
        if bare and head.tip is not None:
            self.store.update(head.user_id, head.id, tip=head.tip)
        for turn in turns:
            given = stored[turn.interaction.id].feedback if turn.interaction.id in stored else ()
            for feedback in turn.interaction.feedback:
                if feedback not in given:
                    self.store.add_feedback(head.user_id, head.id, turn.interaction.id, feedback)

    # --- async twins --------------------------------------------------------------------------------------------

    async def acreate_conversation(self, conversation_id: str | None = None, **options: Any) -> EnhancedConversation:
        """Begin a conversation without blocking the event loop; see ``create_conversation``."""
        return await asyncio.to_thread(self.create_conversation, conversation_id, **options)

    async def aget_conversation(self, conversation_id: str, **options: Any) -> EnhancedConversation:
        """Return a conversation without blocking the event loop; see ``get_conversation``."""
        return await asyncio.to_thread(self.get_conversation, conversation_id, **options)

    async def asave_conversation(self, conversation: Conversation) -> None:
        """Store a conversation without blocking the event loop; see ``save_conversation``."""
        await asyncio.to_thread(self.save_conversation, conversation)

    async def asearch(self, query: str, **options: Any) -> list[FoundInConversation]:
        """Find turns without blocking the event loop; see ``search``."""
        return await asyncio.to_thread(self.search, query, **options)

    async def aforget(self, **options: Any) -> ForgetReceipt:
        """Remove turns for good without blocking the event loop; see ``forget``."""
        return await asyncio.to_thread(self.forget, **options)

    # --- inside -------------------------------------------------------------------------------------------------

    def _whose(self, user_id: str | None) -> str | None:
        return self.user_id if user_id is None else user_id

    def _attached(self, head: ConversationHead, turns: Iterator[StoredTurn] | tuple[()]) -> EnhancedConversation:
        made = EnhancedConversation._restored(  # noqa: SLF001 - the manager's own door
            head, turns, settings=self.settings, clock=self._clock, store=self.store
        )
        made._equip(self.embedder if self._given_encoder or self._embedder else None, self._summarizer, None)  # noqa: SLF001
        return made

    def _not_found(self, conversation_id: str, user_id: str | None) -> ConversationNotFoundError:
        known = [head.id for head in self.store.conversations(self._whose(user_id), limit=1000)]
        hint = did_you_mean(conversation_id, known)
        return ConversationNotFoundError(f"There is no conversation {conversation_id[:100]!r} of this user{hint}")

    def close(self) -> None:
        """Let go of files."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_store(settings: Settings) -> ConversationStore:
    if settings.conversation.store == "memory":
        return MemoryConversationStore()
    return SQLiteConversationStore(settings.data_path(_FILE), durability=settings.conversation.durability)
