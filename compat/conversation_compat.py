"""Deprecated: ``ragtime.services.conversation`` takes the place of ``conversation``.

The conversations here are those of ragtime, seen as the old module had them: as pairs of a question and its answer. An
exchange that is added the old way becomes a turn of the user and one of the assistant; for turns that were added the
new way see ``Conversation.history``.
"""

from __future__ import annotations

import importlib
import inspect
import uuid
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, overload

from ragtime.config.settings import Settings
from ragtime.migration.deprecation import deprecated_class, deprecated_function, warn_deprecated
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import ConversationStore
from ragtime.records.conversation import ConversationHead, InteractionRole, now
from ragtime.records.conversation import Interaction as Turn
from ragtime.services.conversation import Conversation as _NewConversation
from ragtime.services.conversation import ConversationManager
from ragtime.services.conversation.tree import TurnTree
from ragtime_compat.conversation_interaction import (
    Interaction,
    copied,
    ids_of,
    means_turn,
    read_records,
    text_of,
    turns_of,
    written,
)
from ragtime_compat.conversation_pairs import History, Pair, PairIndex, indexed_turns
from ragtime_compat.conversation_sessions import SESSION_KEY, stored_in
from ragtime_compat.conversation_texts import (
    generated_content,
    points_back,
    refers_to_content,
    relevant_content,
    summary_text,
)

if TYPE_CHECKING:
    from pydantic import JsonValue

    from conversation_embedder_compat import ConversationEmbedder
    from conversation_summarizer_compat import ConversationSummarizer
    from enhanced_conversation_compat import EnhancedConversation

__all__ = [
    "Conversation",
    "ConversationEmbedder",
    "ConversationManager",
    "ConversationSummarizer",
    "EnhancedConversation",
    "Interaction",
    "clear_conversation_in_session",
    "get_conversation_from_session",
    "update_conversation_in_session",
]

_log = get_logger(f"ragtime.{__name__}")
_ELSEWHERE = {
    "ConversationEmbedder": "conversation_embedder_compat",
    "ConversationSummarizer": "conversation_summarizer_compat",
    "EnhancedConversation": "enhanced_conversation_compat",
}
_WHOLE = "ragtime"  # in a dict: the conversation in ragtime's own form, where pairs do not tell all of it


@deprecated_class("conversation")
class Conversation(_NewConversation):
    """A conversation that is read and added to in pairs of a question and its answer, or in turns.

    Attributes:
        conversation_id: Identifies it; also `user_id`, `metadata`, `settings` and all methods of the new class.
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
        """Begin a conversation; see ``ragtime.services.conversation.Conversation`` for the arguments."""
        super().__init__(conversation_id, user_id=user_id, metadata=metadata, settings=settings, clock=clock)
        self._named = conversation_id is not None

    def _setup(
        self, head: ConversationHead, tree: TurnTree, settings: Settings, store: ConversationStore | None
    ) -> None:
        super()._setup(head, tree, settings, store)
        self._named = True  # what is made by other doors has an id that was chosen before
        self._index = PairIndex()

    # --- adding -------------------------------------------------------------------------------------------------

    @overload
    def add_interaction(self, role: InteractionRole, content: str = ..., **fields: Any) -> Turn: ...
    @overload
    def add_interaction(
        self,
        query: str,
        response: str,
        document_ids: Iterable[str] | None = ...,
        metadata: Mapping[str, Any] | None = ...,
    ) -> None: ...
    def add_interaction(self, *arguments: Any, **keywords: Any) -> Turn | None:
        """Add a question and its answer, or a turn.

        ``add_interaction(query, response, document_ids=None, metadata=None)`` adds an exchange, and
        ``add_interaction(role, content="", **fields)`` a turn. The keywords `query` and `response` mean an exchange;
        any keyword that only a turn has, such as `role` and `content`, means a turn. Without them it is a turn when the
        first argument is exactly ``system``, ``user`` or ``assistant``, and else an exchange; the turn of a ``tool``
        always has the keyword `tool_call_id`.

        Args:
            *arguments: Of either call; a turn takes document ids and metadata in the third and fourth place, too.
            **keywords: Of either call.

        Returns:
            The turn; nothing for an exchange.

        Raises:
            TypeError: Arguments are missing, or are of neither call.
            pydantic.ValidationError: Only for a turn: a field is wrong.
            InvalidArgumentError: Only for a turn: as of the new class.
            StorageError: It cannot be stored; the conversation is then as before.
        """
        if means_turn(arguments, keywords):
            return self._add_turn(*arguments, **keywords)
        self._add_exchange(*arguments, **keywords)
        return None

    def _add_turn(
        self,
        role: InteractionRole,
        content: str = "",
        document_ids: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Turn:
        fields |= {} if document_ids is None else {"document_ids": document_ids}
        fields |= {} if metadata is None else {"metadata": metadata}
        return super().add_interaction(role, content, **fields)

    def _add_exchange(
        self,
        query: str,
        response: str,
        document_ids: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        time = self._clock()
        given = Interaction(text_of(query), text_of(response), time.timestamp(), ids_of(document_ids))
        given.metadata = metadata if isinstance(metadata, Mapping) else {}
        interaction = copied(given)
        turns = turns_of(interaction, time)
        with self._lock:
            self._add(turns, self._tree.tip)
            self._index.append(interaction, turns, self._tree)

    add_interaction.__signature__ = inspect.signature(_add_exchange)  # type: ignore[attr-defined]  # the old one

    def clear(self) -> None:
        """Forget all exchanges and turns; what a ``ConversationManager`` has stored of them stays there."""
        with self._lock:
            self._head = self._head.model_copy(update={"fork": None, "tip": None})
            self._tree, self._index = TurnTree(), PairIndex()
            self._windows.clear()
            self._lexical = None

    def fork(self, at: str | Turn | None = None, *, conversation_id: str | None = None) -> Self:
        """Begin a new conversation that shares the turns up to one of this; see the new class."""
        warn_deprecated("conversation", "Conversation")
        with self._lock:
            made = super().fork(at, conversation_id=conversation_id)
            made._index = self._index.copy()  # noqa: SLF001 - of this class
        return made

    # --- reading ------------------------------------------------------------------------------------------------

    @property
    def history(self) -> History:
        """The exchanges, the oldest first: a sequence to read, which goes on with the conversation.

        Exchanges that were added the old way are as they were given. Of turns that were added the new way, each of the
        user begins an exchange, and what the assistant says until the next one is the response, several answers with an
        empty line between them. A question without an answer has an empty response, an answer without a question an
        empty query; turns of systems and tools are not shown.
        """
        return History(self._pairs)

    def _pairs(self) -> list[Pair]:
        with self._lock:
            return list(self._index.pairs(self._tree))

    def get_history(self) -> list[Interaction]:
        """Return the exchanges, the oldest first, in a list of the caller's own."""
        return list(self.history)

    def get_last_interaction(self) -> Interaction | None:
        """Return the last exchange; ``None`` when there is none."""
        return next(reversed(self.history), None)

    def get_last_n_interactions(self, n: int = 1) -> list[Interaction]:
        """Return the last `n` exchanges, the oldest first; none when `n` is not above 0."""
        return self.history[-n:] if n > 0 else []

    def find_interactions_by_query_keywords(self, keywords: Iterable[str]) -> list[Interaction]:
        """Return the exchanges whose question holds any of some keywords, in any case, also inside words.

        Args:
            keywords: The keywords; empty ones find nothing.

        Returns:
            The exchanges, the oldest first.
        """
        wanted = [keyword.lower() for keyword in ([keywords] if isinstance(keywords, str) else keywords)]
        wanted = [keyword for keyword in wanted if keyword]
        return [
            pair.shown()
            for pair in self._pairs()
            if (question := pair.said()[0].lower()) and any(keyword in question for keyword in wanted)
        ]

    def find_interactions_by_metadata(self, **metadata: Any) -> list[Interaction]:
        """Return the exchanges whose metadata has all of some values, the oldest first; none for no values."""
        missing = object()
        return [
            interaction
            for interaction in self.history
            if metadata and all(interaction.metadata.get(name, missing) == value for name, value in metadata.items())
        ]

    def get_generated_content(self) -> str:
        """Return all exchanges as one text; an empty one when there are none."""
        return generated_content(self.get_history())

    def get_most_relevant_content(self, query: str, max_interactions: int = 2) -> str:
        """Return the last exchanges as one text, where a question refers to what was written before.

        Args:
            query: The question.
            max_interactions: Most exchanges to tell.

        Returns:
            The text; an empty one when there is nothing to tell, or the question does not refer to it.
        """
        if not refers_to_content(query):
            return ""
        return relevant_content((one, "most recent") for one in self.get_last_n_interactions(max_interactions))

    def is_follow_up_question(self, query: str) -> bool:
        """Whether a question has a word that points back, such as "it" or "the"; never before the first exchange."""
        return bool(self.history) and points_back(query)

    def get_summary(self, max_interactions: int = 3) -> str:
        """Return the conversation in short, without a model.

        Args:
            max_interactions: How many of the last exchanges are told whole.

        Returns:
            The text; an empty one when there are no exchanges.
        """
        return summary_text(self.history, max_interactions)

    # --- other forms --------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the exchanges in the form of the old dicts.

        What pairs do not tell is kept, too: where there are turns that were added the new way, branches, ratings, an id
        of the caller's, a user or metadata, ``ragtime`` has the conversation in ragtime's own form.
        """
        with self._lock:
            data: dict[str, Any] = {"history": [written(interaction) for interaction in self.history]}
            head = self._head
            if self._named or head.user_id or head.metadata or not self._index.knows_all(self._tree):
                data[_WHOLE] = super().to_dict()
        return data

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any] | None,
        *,
        settings: Settings | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> Self:
        """Make a conversation of what ``to_dict`` gave, of this class, of the old ones or of the new one.

        Args:
            data: The dict. Records that hold no question and answer are left out, which is logged; so is everything,
                when it is no dict.
            settings: The settings; ``None`` means the current ones.
            clock: As for the constructor.

        Returns:
            The conversation.

        Raises:
            InvalidArgumentError: It is in ragtime's own form, and wrong or of a newer version.
        """
        warn_deprecated("conversation", "Conversation")
        if not isinstance(data, Mapping):
            _log.warning("What was to be a conversation is no dict; it begins empty", found=type(data).__name__)
            data = {}
        records = read_records(data.get("history"))
        whole = data if "format" in data and "history" not in data else data.get(_WHOLE)
        if isinstance(whole, Mapping) and "format" in whole:
            made = super().from_dict(whole, settings=settings, clock=clock)
            made._index.keep_records(records, made._tree)  # noqa: SLF001 - of this class
            return made
        index, turns = indexed_turns(records, clock or now)
        began = turns[0].interaction.created_at if turns else (clock or now)()
        head = ConversationHead(id=str(uuid.uuid4()), created_at=began)
        made = cls._restored(head, turns, settings=settings, clock=clock)
        made._index, made._named = index, False  # noqa: SLF001 - of this class
        return made

    def _for_session(self) -> dict[str, Any]:
        """Return what a session keeps of it."""
        return self.to_dict()


@deprecated_function("conversation")
def get_conversation_from_session(session: MutableMapping[str, Any]) -> Conversation:
    """Return the conversation of a session; what is added to it is in the session once that is updated.

    Args:
        session: The session. Where it has no dict of a conversation, it gets that of an empty one.

    Returns:
        A conversation of the caller's own.

    Raises:
        InvalidArgumentError: What the session holds is in ragtime's own form, and wrong or of a newer version.
    """
    return Conversation.from_dict(stored_in(session))


@deprecated_function("conversation")
def update_conversation_in_session(session: MutableMapping[str, Any], conversation: _NewConversation) -> None:
    """Put a conversation into a session, as a dict.

    Args:
        session: The session.
        conversation: The conversation; the session can hold one of ragtime's own classes, too.
    """
    session[SESSION_KEY] = (
        conversation._for_session()  # noqa: SLF001 - of this module
        if isinstance(conversation, Conversation)
        else conversation.to_dict()
    )


@deprecated_function("conversation")
def clear_conversation_in_session(session: MutableMapping[str, Any]) -> None:
    """Take the conversation out of a session; without one nothing happens."""
    session.pop(SESSION_KEY, None)


def __getattr__(name: str) -> Any:
    # The other wrappers build on this one, so they cannot be imported above.
    module = _ELSEWHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ELSEWHERE})
