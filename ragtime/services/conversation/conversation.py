"""A conversation: turns that are only ever added, read in many ways."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import (
    ConversationHead,
    Feedback,
    Fork,
    Interaction,
    InteractionRole,
    StoredTurn,
    now,
)
from ragtime.services.conversation.formats import Format, export_messages, import_messages
from ragtime.services.conversation.formats.native import from_native, to_native
from ragtime.services.conversation.new_turns import new_turns
from ragtime.services.conversation.tree import TurnTree, turn_id_of
from ragtime.services.conversation.turn_reader import TurnReader

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["Conversation"]

_SKEW = timedelta(minutes=5)  # clocks of machines differ


class Conversation(TurnReader):
    """Turns in order, with branches, ratings and metadata, in memory.

        >>> conversation = Conversation()
        >>> question = conversation.add_interaction("user", "How long are returns free?")
        >>> answer = conversation.add_interaction("assistant", "For 30 days.", document_ids=["returns"])
        >>> conversation.add_feedback(answer.id, 5).stars
        5.0
        >>> [turn.role for turn in conversation.get_interactions()]
        ['user', 'assistant']

    Turns are only ever added: windows, summaries and branches are views. Methods may be called from many threads.

    Attributes:
        conversation_id: Identifies it.
        user_id: Whose it is; ``None`` when that does not matter.
        created_at: When it began, in UTC.
        settings: The settings.
    """

    def __init__(
        self,
        conversation_id: str | None = None,
        *,
        user_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        settings: Settings | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Begin a conversation.

        Args:
            conversation_id: Identifies it; ``None`` means a new UUID.
            user_id: Whose it is; ``None`` when that does not matter.
            metadata: Anything that JSON can hold; ``None`` means nothing.
            settings: The settings; ``None`` means the current ones.
            clock: Returns the current time with a time zone; ``None`` means that of the machine.

        Raises:
            pydantic.ValidationError: An id or the metadata is none.
        """
        self._clock = clock or now
        head = ConversationHead(
            id=str(uuid.uuid4()) if conversation_id is None else conversation_id,
            user_id=user_id,
            created_at=self._clock(),
            metadata=metadata or {},
        )
        self._setup(head, TurnTree(), settings or get_settings(), None)

    def _setup(
        self, head: ConversationHead, tree: TurnTree, settings: Settings, store: ConversationStore | None
    ) -> None:
        super().__init__(tree, settings)
        self._head = head
        self._store = store

    @classmethod
    def _restored(
        cls,
        head: ConversationHead,
        turns: Iterable[StoredTurn],
        *,
        settings: Settings | None = None,
        clock: Callable[[], datetime] | None = None,
        store: ConversationStore | None = None,
    ) -> Self:
        """Make a conversation of what was stored; the manager attaches it to `store`."""
        made = cls.__new__(cls)
        made._clock = clock or now  # noqa: SLF001 - our own, not yet set up
        made._setup(head, TurnTree(turns, tip=head.tip), settings or get_settings(), store)  # noqa: SLF001
        return made

    # --- what it is ---------------------------------------------------------------------------------------------

    @property
    def conversation_id(self) -> str:
        """Identifies it."""
        return self._head.id

    @property
    def user_id(self) -> str | None:
        """Whose it is; ``None`` when that does not matter."""
        return self._head.user_id

    @property
    def created_at(self) -> datetime:
        """When it began, in UTC."""
        return self._head.created_at

    @property
    def metadata(self) -> Mapping[str, JsonValue]:
        """Anything that JSON can hold; changed by ``update_metadata`` and ``remove_metadata``."""
        return self._head.metadata

    @property
    def head(self) -> ConversationHead:
        """All that is known of it besides its turns."""
        with self._lock:
            return self._head.model_copy(update={"tip": self._tree.tip})

    def is_attached_to(self, store: ConversationStore) -> bool:
        """Whether whatever is added to it is stored there."""
        return self._store is store

    def stored_turns(self) -> list[StoredTurn]:
        """Return the turns of all branches, each after its parent."""
        with self._lock:
            return list(self._tree)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.conversation_id!r}, turns={len(self)})"

    def update_metadata(self, values: Mapping[str, JsonValue] | None = None, /, **more: JsonValue) -> None:
        """Set metadata; what is not named stays.

        Args:
            values: New values by name; ``None`` means none.
            **more: Further ones.

        Raises:
            pydantic.ValidationError: A value is nothing that JSON can hold.
        """
        with self._lock:
            self._set_metadata({**self._head.metadata, **(values or {}), **more})

    def remove_metadata(self, *names: str) -> None:
        """Remove metadata; a name that is not there is no error."""
        with self._lock:
            self._set_metadata({name: value for name, value in self._head.metadata.items() if name not in names})

    def _set_metadata(self, metadata: Mapping[str, JsonValue]) -> None:
        with self._lock:
            head = self._head.model_copy(update={"metadata": dict(metadata)})
            if self._store is not None:
                self._store.update(self.user_id, self.conversation_id, metadata=head.metadata)
            self._head = head

    # --- adding -------------------------------------------------------------------------------------------------

    def add_interaction(self, role: InteractionRole, content: str = "", **fields: Any) -> Interaction:
        """Add a turn at the end of the active branch.

        When the conversation is attached to a store, the turn is durable once this returns.

        Args:
            role: Who says it: ``system``, ``user``, ``assistant`` or ``tool``.
            content: What is said.
            **fields: Further fields of ``Interaction``, such as `document_ids`, `metadata`, `tool_calls`,
                `tool_call_id`, `name`, `parts`, `id` and `created_at`.

        Returns:
            The turn.

        Raises:
            pydantic.ValidationError: A field is wrong or unknown.
            InvalidArgumentError: Its time lies in the future, its id is taken, or it answers a tool call that there is
                not, or that was answered.
            StorageError: It cannot be stored; the conversation is then as before.
        """
        fields.setdefault("created_at", self._clock())
        interaction = Interaction(role=role, content=content, **fields)
        with self._lock:
            self._add([interaction], self._tree.tip)
        return interaction

    def add_exchange(
        self,
        query: str,
        response: str,
        *,
        document_ids: Sequence[str] = (),
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> tuple[Interaction, Interaction]:
        """Add a question and its answer, both or neither.

        Args:
            query: What the user asks.
            response: What the assistant answers.
            document_ids: Ids of the documents that the answer drew on.
            metadata: Metadata of the answer; ``None`` means none.

        Returns:
            The two turns.

        Raises:
            pydantic.ValidationError: A field is wrong.
            StorageError: They cannot be stored; the conversation is then as before.
        """
        time = self._clock()
        question = Interaction(role="user", content=query, created_at=time)
        answer = Interaction(
            role="assistant",
            content=response,
            document_ids=tuple(document_ids),
            metadata=metadata or {},
            created_at=time,
        )
        self.add_interactions([question, answer])
        return question, answer

    def add_interactions(self, interactions: Iterable[Interaction]) -> None:
        """Add finished turns at the end of the active branch, all or none.

        Args:
            interactions: The turns, the oldest first.

        Raises:
            InvalidArgumentError: As ``add_interaction``.
            StorageError: They cannot be stored; the conversation is then as before.
        """
        with self._lock:
            self._add(list(interactions), self._tree.tip)

    def _add(self, interactions: list[Interaction], parent: str | None) -> None:
        """Check, store and then add turns after `parent`; the lock is held."""
        turns = new_turns(self._tree, interactions, parent, latest=self._clock() + _SKEW)
        if self._store is not None and turns:
            self._store.append(self._head.user_id, self._head.id, turns)
        for turn in turns:
            self._tree.add(turn)

    def add_feedback(
        self,
        interaction_id: str | Interaction,
        stars: float,
        *,
        comment: str | None = None,
        aspects: Mapping[str, float] | None = None,
        by: str | None = None,
        **fields: Any,
    ) -> Feedback:
        """Attach a rating to a turn; a turn can have several.

        Args:
            interaction_id: The turn, or its id.
            stars: 1 (bad) to 5 (good).
            comment: What was said about it; ``None`` when nothing was.
            aspects: Ratings of single aspects, 1 to 5; ``None`` means none.
            by: Who gave it; ``None`` when nobody knows.
            **fields: Further fields of ``Feedback``: `id`, `created_at`, `metadata`.

        Returns:
            The feedback.

        Raises:
            pydantic.ValidationError: A field is wrong or unknown.
            InvalidArgumentError: There is no such turn.
            StorageError: It cannot be stored.
        """
        fields.setdefault("created_at", self._clock())
        feedback = Feedback(stars=stars, comment=comment, aspects=aspects or {}, by=by, **fields)
        turn_id = turn_id_of(interaction_id)
        with self._lock:
            turn = self._tree.get(turn_id)
            if self._store is not None:
                self._store.add_feedback(self.user_id, self.conversation_id, turn_id, feedback)
            self._tree.replace(turn.interaction.with_feedback(feedback))
        return feedback

    # --- branches -----------------------------------------------------------------------------------------------

    def fork(self, at: str | Interaction | None = None, *, conversation_id: str | None = None) -> Self:
        """Begin a new conversation that shares the turns up to one of this; what either adds is its own.

        A shared turn is stored once, so a rating given to it later is seen in both when they are read again.

        Args:
            at: The last turn that both share, or its id; ``None`` means the last of the active branch.
            conversation_id: Identifies the new one; ``None`` means a new UUID.

        Returns:
            The new conversation, attached to the same store as this.

        Raises:
            InvalidArgumentError: There is no such turn, or none at all.
            ConversationExistsError: The store has one with this id.
        """
        with self._lock:
            turn_id = self._tree.tip if at is None else turn_id_of(at)
            if turn_id is None:
                raise InvalidArgumentError("A conversation without turns cannot be forked")
            turns = self._tree.branch(turn_id)
            head = ConversationHead(
                id=str(uuid.uuid4()) if conversation_id is None else conversation_id,
                user_id=self.user_id,
                created_at=self._clock(),
                metadata=self._head.metadata,
                fork=Fork(conversation_id=self.conversation_id, turn_id=turn_id),
                tip=turn_id,
            )
            if self._store is not None:
                self._store.create(head)
            return self._restored(head, turns, settings=self.settings, clock=self._clock, store=self._store)

    def edit(self, interaction_id: str | Interaction, content: str, **fields: Any) -> Interaction:
        """Say a turn in other words, in a new branch that becomes the active one; the original stays where it is.

        What followed the original is not in the new branch.

        Args:
            interaction_id: The turn, or its id.
            content: What is said instead.
            **fields: Further fields to change; the others, but for id, time, parts and feedback, are the original's.

        Returns:
            The new turn; its metadata names the original under ``edited_from``.

        Raises:
            InvalidArgumentError: There is no such turn.
            pydantic.ValidationError: A field is wrong.
        """
        return self._replaced(interaction_id, content, "edited_from", fields, dropped=set())

    def regenerate(self, interaction_id: str | Interaction, content: str, **fields: Any) -> Interaction:
        """Give another answer, in a new branch that becomes the active one; the original stays where it is.

        Args:
            interaction_id: The assistant's turn, or its id.
            content: The other answer.
            **fields: Further fields to change, as for ``edit``.

        Returns:
            The new turn; its metadata names the original under ``regenerated_from``.

        Raises:
            InvalidArgumentError: There is no such turn, or it is not the assistant's.
            pydantic.ValidationError: A field is wrong.
        """
        turn_id = turn_id_of(interaction_id)
        if self.get_interaction(turn_id).role != "assistant":
            raise InvalidArgumentError("Only a turn of the assistant is regenerated; others are edited")
        # What an answer drew on and called is its own.
        return self._replaced(turn_id, content, "regenerated_from", fields, dropped={"tool_calls", "document_ids"})

    def _replaced(
        self,
        interaction_id: str | Interaction,
        content: str,
        origin: str,
        fields: Mapping[str, Any],
        *,
        dropped: set[str],
    ) -> Interaction:
        turn_id = turn_id_of(interaction_id)
        with self._lock:
            original = self._tree.get(turn_id)
            kept = original.interaction.model_dump(
                exclude={"id", "content", "created_at", "parts", "token_counts", "feedback"} | dropped
            )
            metadata = {**original.interaction.metadata, **(fields.get("metadata") or {}), origin: turn_id}
            changed = {"created_at": self._clock(), **kept, **fields, "metadata": metadata}
            interaction = Interaction(content=content, **changed)
            self._add([interaction], original.parent_id)
            return interaction

    def switch(self, tip: str | Interaction) -> None:
        """Make another branch the active one.

        Args:
            tip: The last turn of the branch, or its id; a turn inside a branch is one, too.

        Raises:
            InvalidArgumentError: There is no such turn.
        """
        turn_id = turn_id_of(tip)
        with self._lock:
            self._tree.get(turn_id)
            if self._store is not None:
                self._store.update(self.user_id, self.conversation_id, tip=turn_id)
            self._tree.switch(turn_id)

    # --- other forms --------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, branches included, as a JSON object; ``from_dict`` reads it."""
        with self._lock:
            return to_native(self.head, list(self._tree))

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        *,
        settings: Settings | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> Self:
        """Make a conversation of what ``to_dict`` gave, or the dicts of the old modules.

        Args:
            data: The dict.
            settings: The settings; ``None`` means the current ones.
            clock: As for the constructor.

        Returns:
            The conversation, equal in every turn, branch, rating and id.

        Raises:
            InvalidArgumentError: It is no such dict, or of a newer version.
        """
        head, turns = from_native(data)
        return cls._restored(head, turns, settings=settings, clock=clock)

    def to_messages(self, format: Format = "openai") -> Any:  # noqa: A002 - the word a caller expects
        """Return the active branch in a format of others.

        Args:
            format: ``openai`` (chat), ``anthropic``, ``sharegpt`` or ``hf`` (`messages` of a data set).

        Returns:
            What the format has: a list of messages, or a dict with one.

        Raises:
            InvalidArgumentError: There is no such format, or it cannot express a turn.
        """
        return export_messages(self.get_interactions(), format)

    @classmethod
    def from_messages(
        cls,
        data: Any,
        format: Format = "openai",  # noqa: A002 - the word a caller expects
        *,
        conversation_id: str | None = None,
        **options: Any,
    ) -> Self:
        """Make a conversation of messages in a format of others.

        Args:
            data: What ``to_messages`` gives.
            format: As for ``to_messages``.
            conversation_id: Identifies it; ``None`` means a new UUID.
            **options: Further arguments of the constructor.

        Returns:
            The conversation.

        Raises:
            InvalidArgumentError: A message is wrong; names which.
        """
        made = cls(conversation_id, **options)
        time = made._clock()
        made.add_interactions(import_messages(data, format, created_at=time))
        return made
