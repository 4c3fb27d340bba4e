"""The seams: what ragtime asks of models and counters.

Anything with the right methods will do; nothing has to inherit. Tests pass in small fakes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypedDict, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    import numpy.typing as npt
    from pydantic import JsonValue

    from ragtime.records.conversation import ConversationHead, Feedback, LexicalScope, StoredTurn
    from ragtime.records.decisions import (
        CustomData,
        Decision,
        ItemLink,
        ItemRef,
        Pattern,
        ProgressEntry,
        ProgressStatus,
    )

__all__ = [
    "AsyncTextGenerator",
    "CancelSignal",
    "ConversationStore",
    "DecisionLog",
    "Message",
    "TextEncoder",
    "TextGenerator",
    "TextRole",
    "TokenCounter",
    "TokenUsage",
]

TextRole = Literal["query", "passage"]
"""What a text is to retrieval: what one searches with, or what one finds."""


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors."""

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        ...

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        """Embed `texts`.

        Args:
            texts: Any number of texts, none included.
            role: Whether they are queries or passages; some models prompt them differently.

        Returns:
            A float32 array of shape ``[len(texts), dimension]`` with rows of unit length, in the order of the texts.

        Raises:
            BackendError: The model failed. There is never a vector of zeros instead.
        """
        ...

    def fingerprint(self, role: TextRole) -> str:
        """Return a hash of all that the vectors of a role depend on: weights, prompt, maximum length.

        Caches and indexes are keyed by it, so that vectors of two models never mix.
        """
        ...


class Message(TypedDict):
    """One message to a language model."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class TokenUsage(TypedDict):
    """Tokens that one generation read and wrote."""

    prompt_tokens: int
    completion_tokens: int


@runtime_checkable
class TextGenerator(Protocol):
    """Writes text."""

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> str:
        """Answer `messages`.

        Args:
            messages: The conversation so far, oldest first.
            max_tokens: Longest answer, in tokens; ``None`` means the settings' own limit.
            temperature: Sampling temperature; ``None`` means the settings' own.
            seed: Makes sampling repeatable where the model can; ``None`` leaves it open.
            stop: Texts that end the answer and are no part of it.
            on_usage: Is told the tokens used, when they are known.

        Returns:
            The answer.

        Raises:
            BackendError: The model failed, or took too long.
        """
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> Iterator[str]:
        """Answer `messages` piece by piece; the pieces joined are what ``generate`` returns."""
        ...


@runtime_checkable
class AsyncTextGenerator(Protocol):
    """Writes text without blocking the event loop; its methods are the twins of :class:`TextGenerator`'s."""

    async def agenerate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> str:
        """Answer `messages`; see :meth:`TextGenerator.generate`."""
        ...

    def astream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> AsyncIterator[str]:
        """Answer `messages` piece by piece; see :meth:`TextGenerator.stream`."""
        ...


@runtime_checkable
class CancelSignal(Protocol):
    """Tells running work that it is no longer wanted; a ``threading.Event`` is one."""

    def is_set(self) -> bool:
        """Whether the work should stop."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """Counts the tokens of a text."""

    @property
    def name(self) -> str:
        """What counts, such as a tokenizer's name; counts of two names are not compared."""
        ...

    @property
    def exact(self) -> bool:
        """Whether the counts are those of a tokenizer, not an estimate."""
        ...

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`, without special tokens; 0 for the empty text."""
        ...


@runtime_checkable
class ConversationStore(Protocol):
    """Where conversations rest.

    Every call names the user; nothing of another user is ever read, counted or changed. What a call has returned from
    is kept, as durably as the store was told to be. All methods may be called from many threads, and those of a store
    on disk from many processes.
    """

    def create(self, head: ConversationHead, turns: Sequence[StoredTurn] = ()) -> None:
        """Store a new conversation with its turns, all or nothing.

        Args:
            head: What is known of it; its `tip` is the last of `turns` when it names none.
            turns: Its turns, each after its parent.

        Raises:
            ConversationExistsError: The user has one with this id.
            InvalidArgumentError: A turn names a parent that is not there, or an id that is taken.
            StorageError: It cannot be written.
        """
        ...

    def head(self, user_id: str | None, conversation_id: str) -> ConversationHead | None:
        """Return what is known of a conversation, with the tip of its active branch; ``None`` when there is none."""
        ...

    def turns(self, user_id: str | None, conversation_id: str) -> Iterator[StoredTurn]:
        """Read all turns of a conversation, of every branch, in the order in which they were stored.

        Those that it shares with the conversation it was forked from come first.

        Args:
            user_id: Whose it is.
            conversation_id: The conversation; one that is not there has no turns.

        Returns:
            The turns, one by one, with the feedback on them.
        """
        ...

    def turn(self, user_id: str | None, conversation_id: str, turn_id: str) -> StoredTurn | None:
        """Return one turn of a conversation, its own or a shared one, with the feedback on it.

        Args:
            user_id: Whose it is.
            conversation_id: The conversation.
            turn_id: The turn.

        Returns:
            The turn; ``None`` when the user has no such conversation, or it no such turn.
        """
        ...

    def append(self, user_id: str | None, conversation_id: str, turns: Sequence[StoredTurn]) -> None:
        """Add turns to a conversation, all or nothing; the last becomes the tip.

        A turn that is there already, the same in every field, is passed over, so that a call may be repeated.

        Args:
            user_id: Whose it is.
            conversation_id: The conversation.
            turns: The turns, each after its parent.

        Raises:
            ConversationNotFoundError: The user has none with this id.
            InvalidArgumentError: A turn names a parent that is not there, or the id of a different turn.
            StorageError: They cannot be written.
        """
        ...

    def update(
        self,
        user_id: str | None,
        conversation_id: str,
        *,
        tip: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Change what is known of a conversation.

        Args:
            user_id: Whose it is.
            conversation_id: The conversation.
            tip: The last turn of the branch that is active from now on; ``None`` leaves it.
            metadata: The whole new metadata; ``None`` leaves it.

        Raises:
            ConversationNotFoundError: The user has none with this id.
            InvalidArgumentError: The tip is no turn of it.
        """
        ...

    def add_feedback(self, user_id: str | None, conversation_id: str, turn_id: str, feedback: Feedback) -> None:
        """Add feedback to a turn; one with the same id is replaced.

        Args:
            user_id: Whose the conversation is.
            conversation_id: The conversation.
            turn_id: The turn.
            feedback: The feedback.

        Raises:
            ConversationNotFoundError: The user has none with this id.
            InvalidArgumentError: It has no such turn.
        """
        ...

    def conversations(
        self,
        user_id: str | None,
        *,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> list[ConversationHead]:
        """List the conversations of a user, the newest first, then by id.

        Args:
            user_id: Whose they are.
            where: Only those whose metadata has these values; ``None`` means all.
            since: Only those that began then or later; ``None`` means all.
            until: Only those that began before; ``None`` means all.
            limit: Most to return; ``None`` means all.
            after: Only those that come after the one with this id in this order; ``None`` means from the first.

        Returns:
            What is known of each.
        """
        ...

    def users(self) -> list[str | None]:
        """Return the users who have conversations, sorted, ``None`` first; for administration."""
        ...

    def lexical_scope(
        self, user_id: str | None, stems: Sequence[str], *, conversation_id: str | None = None
    ) -> LexicalScope:
        """Find every turn that holds one of some stems.

        Args:
            user_id: Whose turns are searched.
            stems: The stems, as ``ragtime.utils.stems.stems_of`` makes them.
            conversation_id: Only the turns stored in this conversation; ``None`` means all of the user.

        Returns:
            The matches, and the statistics of just this scope.
        """
        ...

    def changes(self, user_id: str | None, *, after: int = 0) -> Iterator[tuple[int, str, StoredTurn]]:
        """Read the turns of a user that were stored since, so that indexes can catch up.

        Args:
            user_id: Whose turns.
            after: The number of the last turn known.

        Returns:
            One by one: the turn's number, larger than that of any turn stored before it, its conversation, the turn.
        """
        ...

    def forget(
        self, user_id: str | None, *, conversation_id: str | None = None, turn_id: str | None = None
    ) -> list[tuple[str, StoredTurn]]:
        """Remove turns for good: no file of the store holds anything of them afterwards.

        Turns that follow a removed one are joined to the one before it. A conversation that is removed goes with its
        metadata; those forked from it keep the turns that they share with it.

        Args:
            user_id: Whose turns; all of them when neither of the others is given.
            conversation_id: A conversation; ``None`` means all of the user's.
            turn_id: A single turn of it; ``None`` means all.

        Returns:
            The conversation and the turn, for each that was removed.

        Raises:
            ConversationNotFoundError: The user has no such conversation.
            InvalidArgumentError: It has no such turn, or a turn is given without its conversation.
            StorageError: They cannot be removed.
        """
        ...

    def close(self) -> None:
        """Let go of files; further calls fail."""
        ...


@runtime_checkable
class DecisionLog(Protocol):
    """Keeps what runs decided, how far they are, what they measured, and how that hangs together.

    What a call has returned from is kept. No call waits for a server, but those that read, ``flush`` and ``close``.
    All methods may be called from many threads; several processes may log to one place.
    """

    def log_decision(
        self, summary: str, *, rationale: str | None = None, details: str | None = None, tags: Sequence[str] = ()
    ) -> ItemRef:
        """Log a decision.

        Args:
            summary: What was decided.
            rationale: Why; ``None`` leaves it open.
            details: How it is done; ``None`` leaves it open.
            tags: Words to find it by.

        Returns:
            What names it in links.

        Raises:
            InvalidArgumentError: A text is blank, or cannot be written in UTF-8.
            StorageError: It cannot be kept, or the log is closed.
        """
        ...

    def log_progress(self, description: str, *, status: ProgressStatus = "IN_PROGRESS") -> ItemRef:
        """Log that a piece of work is under way.

        Args:
            description: What is done.
            status: How far it is.

        Returns:
            What names it in links and in ``update_progress``.

        Raises:
            InvalidArgumentError: The text is blank, or the status is none.
            StorageError: It cannot be kept, or the log is closed.
        """
        ...

    def update_progress(
        self, entry: ItemRef, *, status: ProgressStatus | None = None, description: str | None = None
    ) -> None:
        """Log how far a piece of work is by now.

        Args:
            entry: What ``log_progress`` returned.
            status: How far it is; ``None`` leaves it.
            description: What is done; ``None`` leaves it.

        Raises:
            InvalidArgumentError: It is no entry of this log, as far as can be told at once, or nothing is to change.
            StorageError: It cannot be kept, or the log is closed.
        """
        ...

    def log_custom_data(self, category: str, key: str, value: JsonValue) -> ItemRef:
        """Log a JSON value, in place of the one of the same category and key.

        Args:
            category: The category, such as ``TrainingRuns``; it must not hold a colon.
            key: The key, such as the id of a run.
            value: The value.

        Returns:
            What names it in links.

        Raises:
            InvalidArgumentError: Category or key is no id, or the value is no JSON value.
            StorageError: It cannot be kept, or the log is closed.
        """
        ...

    def log_pattern(self, name: str, *, description: str | None = None, tags: Sequence[str] = ()) -> ItemRef:
        """Log something that keeps happening, in place of the pattern of the same name.

        Args:
            name: Its name, one line.
            description: What keeps happening; ``None`` leaves it open.
            tags: Words to find it by.

        Returns:
            What names it in links.

        Raises:
            InvalidArgumentError: The name is no id, or a text is blank.
            StorageError: It cannot be kept, or the log is closed.
        """
        ...

    def link(self, source: ItemRef, target: ItemRef, relationship: str, *, description: str | None = None) -> None:
        """Log how two items hang together.

        Args:
            source: The one that the relationship is said of.
            target: The other.
            relationship: How they hang together, such as ``produced_by``.
            description: More about it; ``None`` leaves it open.

        Raises:
            InvalidArgumentError: One is no item of this log, as far as can be told at once.
            StorageError: It cannot be kept, or the log is closed.
        """
        ...

    def decisions(self, limit: int | None = None, *, tags: Sequence[str] = ()) -> list[Decision]:
        """Read decisions, the newest first.

        Args:
            limit: Most to return; ``None`` means all.
            tags: Only those that have all of these.

        Returns:
            The decisions; everything logged before is among them.

        Raises:
            InvalidArgumentError: `limit` is not positive.
            StorageError: They cannot be read, or the log is closed.
        """
        ...

    def progress(self, limit: int | None = None) -> list[ProgressEntry]:
        """Read progress entries, the newest first; see ``decisions``."""
        ...

    def patterns(self, limit: int | None = None, *, tags: Sequence[str] = ()) -> list[Pattern]:
        """Read patterns, by name; see ``decisions``."""
        ...

    def custom_data(self, category: str, key: str | None = None) -> list[CustomData]:
        """Read the values of a category, by key.

        Args:
            category: The category.
            key: Only the value of this key; ``None`` means all.

        Returns:
            The values; everything logged before is among them.

        Raises:
            StorageError: They cannot be read, or the log is closed.
        """
        ...

    def links(self, item: ItemRef) -> list[ItemLink]:
        """Read the links from and to an item, the oldest first.

        Args:
            item: The item.

        Returns:
            The links; everything logged before is among them.

        Raises:
            StorageError: They cannot be read, or the log is closed.
        """
        ...

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was logged has got where it belongs.

        Args:
            timeout: Longest wait, in seconds; ``None`` means the log's own limit.

        Returns:
            Whether all of it has; what has not is kept and sent later.

        Raises:
            StorageError: The log is closed.
        """
        ...

    def close(self, timeout: float | None = None) -> None:
        """Flush and let go of files and servers; further calls fail. Closing again does nothing.

        Args:
            timeout: Longest wait for what was logged, in seconds; ``None`` means the log's own limit.
        """
        ...
