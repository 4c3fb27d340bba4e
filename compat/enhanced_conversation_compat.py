"""Deprecated: ``ragtime.services.conversation.EnhancedConversation`` takes the place of ``enhanced_conversation``.

The conversations here are those of ragtime, seen in pairs of a question and its answer, of which each has one vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from conversation_compat import Conversation, Interaction, update_conversation_in_session
from conversation_embedder_compat import ConversationEmbedder
from ragtime.config.settings import Settings
from ragtime.migration.deprecation import deprecated_class, deprecated_function, warn_deprecated
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import ConversationStore, TokenCounter
from ragtime.records.conversation import ConversationHead
from ragtime.records.conversation import Interaction as Turn
from ragtime.services.conversation import Conversation as _NewConversation
from ragtime.services.conversation import ConversationEmbedder as _NewEmbedder
from ragtime.services.conversation import ConversationSummarizer as _NewSummarizer
from ragtime.services.conversation import EnhancedConversation as _NewEnhancedConversation
from ragtime.services.conversation.tree import TurnTree
from ragtime_compat.conversation_sessions import remembered_vectors, stored_in, with_vectors
from ragtime_compat.conversation_texts import relevant_content
from ragtime_compat.model_server import embedding_server

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = [
    "EnhancedConversation",
    "get_enhanced_conversation_from_session",
    "update_enhanced_conversation_in_session",
]

_log = get_logger(f"ragtime.{__name__}")
_ALIKE = 0.8  # a cosine above makes a question a follow-up of the last one
_ZEROS = [0.0] * 384  # the vector of an exchange that could not be embedded
_EMBED_INTERACTION = ConversationEmbedder.embed_interaction


@deprecated_class("enhanced_conversation")
class EnhancedConversation(Conversation, _NewEnhancedConversation):
    """A conversation in pairs that finds earlier exchanges by their meaning.

    An exchange that is added the old way is embedded at once, others when a vector is needed, all of them together.

    Attributes:
        summary: A summary that the caller keeps here; it goes with ``to_dict``.
        summary_updated_at: When that was made, in seconds since 1970; 0 after anything was added.
    """

    summary: str
    summary_updated_at: float

    def __init__(
        self,
        conversation_id: str | None = None,
        *,
        user_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        settings: Settings | None = None,
        clock: Callable[[], datetime] | None = None,
        embedder: _NewEmbedder | None = None,
        summarizer: _NewSummarizer | None = None,
        counter: TokenCounter | None = None,
    ) -> None:
        """Begin a conversation; see ``ragtime.services.conversation.EnhancedConversation`` for the arguments.

        Without an `embedder` it is the one of ``conversation_embedder_compat``, made when it is needed.
        """
        # Of the two bases, only this one knows all the arguments.
        _NewEnhancedConversation.__init__(
            self,
            conversation_id,
            user_id=user_id,
            metadata=metadata,
            settings=settings,
            clock=clock,
            embedder=embedder,
            summarizer=summarizer,
            counter=counter,
        )
        self._named = conversation_id is not None

    def _setup(
        self, head: ConversationHead, tree: TurnTree, settings: Settings, store: ConversationStore | None
    ) -> None:
        super()._setup(head, tree, settings, store)
        self._server = embedding_server()  # the environment counts as it is now, not when something is embedded
        self._forget_derived()

    def _forget_derived(self) -> None:
        # By what was said, so that no vector can come to stand beside another exchange.
        self._vectors: dict[tuple[str, str], list[float]] = {}
        self.summary, self.summary_updated_at = "", 0

    # --- adding -------------------------------------------------------------------------------------------------

    def _add(self, interactions: list[Turn], parent: str | None) -> None:
        super()._add(interactions, parent)
        self.summary_updated_at = 0

    def _add_exchange(
        self,
        query: str,
        response: str,
        document_ids: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super()._add_exchange(query, response, document_ids, metadata)
        added = self.history[-1]
        if (added.query, added.response) not in self._vectors:
            self._embed([(added.query, added.response)])

    def clear(self) -> None:
        """Forget all exchanges and turns, their vectors and the summary."""
        with self._lock:
            super().clear()
            self._recall = None
            self._forget_derived()

    def fork(self, at: str | Turn | None = None, *, conversation_id: str | None = None) -> Self:
        """Begin a new conversation that shares the turns up to one of this; see the new class."""
        warn_deprecated("enhanced_conversation", "EnhancedConversation")
        made = super().fork(at, conversation_id=conversation_id)
        made._vectors = dict(self._vectors)  # noqa: SLF001 - of this class
        return made

    # --- vectors ------------------------------------------------------------------------------------------------

    @property
    def embedder(self) -> ConversationEmbedder:
        """What embeds questions and exchanges; may be set, also to one of the new class."""
        with self._lock:
            if self._embedder is None:
                self._embedder = ConversationEmbedder(*self._server, settings=self.settings)
            return self._embedder  # type: ignore[return-value]  # who has set another one knows what it is

    @embedder.setter
    def embedder(self, embedder: _NewEmbedder) -> None:
        with self._lock:
            self._embedder = embedder

    @property
    def interaction_embeddings(self) -> list[list[float]]:
        """A vector for each exchange, in a list of the caller's own; may be set.

        Those that are not there are made now. One that could not be made is zeros. The vectors themselves are those of
        the conversation, since programs ask in every turn whether there are any.
        """
        texts = self._texts()
        vectors = [self._vectors.get(text) for text in texts]
        if not all(vectors):
            self._embed([text for text in dict.fromkeys(texts) if text not in self._vectors])
            vectors = [self._vectors.get(text) for text in texts]
        return [vector or list(_ZEROS) for vector in vectors]

    @interaction_embeddings.setter
    def interaction_embeddings(self, vectors: Iterable[Sequence[float]]) -> None:
        read = zip(self._texts(), map(_numbers, vectors), strict=False)
        self._vectors = {text: numbers for text, numbers in read if numbers}

    def _texts(self) -> list[tuple[str, str]]:
        return [pair.said() for pair in self._pairs()]

    def _old_embedder(self) -> ConversationEmbedder:
        """Return the embedder with the old calls, which one of the new class has not."""
        embedder: object = self.embedder
        if isinstance(embedder, _NewEmbedder) and not isinstance(embedder, ConversationEmbedder):
            return ConversationEmbedder(encoder=embedder.encoder)
        return self.embedder

    def _embed(self, texts: Sequence[tuple[str, str]], *, singly: bool = False) -> None:
        """Embed exchanges; what is there already is not replaced by zeros.

        Args:
            texts: Questions and answers.
            singly: Whether to embed them one by one.
        """
        embedder = self._old_embedder()
        # A subclass, and whoever has put another method in its place, decide how an exchange is embedded.
        own = getattr(embedder, "embed_interaction", None)
        whole = getattr(own, "__func__", None) is _EMBED_INTERACTION
        if whole and not singly:
            vectors = [_numbers(vector) for vector in embedder.embed_exchanges(texts)]
        else:
            vectors = [_embedded(embedder, query, response) for query, response in texts]
        for text, vector in zip(texts, vectors, strict=True):
            if any(vector):
                self._vectors[text] = vector
            else:
                self._vectors.setdefault(text, vector or list(_ZEROS))

    # --- finding ------------------------------------------------------------------------------------------------

    def get_relevant_interactions(  # type: ignore[override]  # the old call gives exchanges
        self, query: str, top_k: int = 2
    ) -> list[Interaction]:
        """Return the exchanges whose meaning is nearest to that of a question.

        Args:
            query: The question.
            top_k: Most exchanges to return; none when it is not above 0.

        Returns:
            The exchanges, the best first. Those without a vector that could be compared come last, the newest first;
            when the embedder fails, that is all of them.
        """
        pairs = self._pairs()
        if not pairs or top_k < 1:
            return []
        ranked, left = self._ranked(query, [pair.said() for pair in pairs], top_k)
        return [pairs[place].shown() for place in [*ranked, *reversed(left)][:top_k]]

    def _ranked(self, query: str, texts: Sequence[tuple[str, str]], top_k: int) -> tuple[list[int], list[int]]:
        """Return the places of the nearest exchanges, the best first, and of those that cannot be compared."""
        embedder = self._old_embedder()
        try:
            asked = _numbers(embedder.embed_query(query))
            if not any(asked):
                return [], list(range(len(texts)))
            self._complete(texts, len(asked))
            usable = [place for place, text in enumerate(texts) if self._is_usable(text, len(asked))]
            vectors = [self._vectors[texts[place]] for place in usable]
            ranked = [usable[index] for index, _ in embedder.find_most_similar(asked, vectors, top_k)]
        except Exception as error:  # noqa: BLE001 - the newest exchanges after any failure are the contract
            _log.warning("Exchanges are chosen by their time", error=type(error).__name__)
            return [], list(range(len(texts)))
        return ranked, sorted({*range(len(texts))}.difference(usable))

    def _complete(self, texts: Sequence[tuple[str, str]], dimension: int) -> None:
        """Embed the exchanges that have no vector of the right length, or only zeros."""
        missing = [text for text in dict.fromkeys(texts) if not self._is_usable(text, dimension)]
        if not missing:
            return
        self._embed(missing)
        if len(missing) > 1 and not any(self._is_usable(text, dimension) for text in missing):
            self._embed(missing, singly=True)  # one that the server refuses costs only itself

    def _is_usable(self, text: tuple[str, str], dimension: int) -> bool:
        vector = self._vectors.get(text, ())
        return len(vector) == dimension and any(vector)

    def get_most_relevant_content(self, query: str, max_interactions: int = 2) -> str:
        """Return the exchanges that ``get_relevant_interactions`` finds as one text; an empty one for none."""
        found = self.get_relevant_interactions(query, max_interactions)
        return relevant_content((one, f"relevance: {'medium' if place else 'high'}") for place, one in enumerate(found))

    def is_follow_up_question(self, query: str) -> bool:
        """Whether a question has a word that points back, or means nearly the same as the last one.

        Args:
            query: The question.

        Returns:
            Whether it does; never before the first exchange. Without a model the words alone decide.
        """
        if super().is_follow_up_question(query):
            return True
        last = self.get_last_interaction()
        if last is None or not last.query.strip():
            return False
        embedder = self._old_embedder()
        try:
            likeness = embedder.cosine_similarity(embedder.embed_query(query), embedder.embed_query(last.query))
            return bool(likeness > _ALIKE)
        except Exception as error:  # noqa: BLE001 - the words decide after any failure, and the embedder is anyone's
            _log.warning("Questions cannot be compared", error=type(error).__name__)
            return False

    # --- other forms --------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the exchanges in the form of the old dicts, with a vector for each, and the summary."""
        data = self._without_vectors()
        vectors = [list(vector) for vector in self.interaction_embeddings]
        return {**data, "embeddings": vectors} if vectors else data

    def _without_vectors(self) -> dict[str, Any]:
        data = super().to_dict()
        if self.summary:
            data |= {"summary": self.summary, "summary_updated_at": self.summary_updated_at}
        return data

    def _for_session(self) -> dict[str, Any]:
        with self._lock:
            return with_vectors(self._without_vectors(), [self._vectors.get(text) for text in self._texts()])

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any] | None,
        *,
        settings: Settings | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> Self:
        """Make a conversation of what ``to_dict`` gave; see ``conversation_compat.Conversation.from_dict``.

        Nothing is embedded now. Vectors are taken when there are as many as exchanges; others are made when they are
        needed, all of them together.
        """
        warn_deprecated("enhanced_conversation", "EnhancedConversation")
        made = super().from_dict(data, settings=settings, clock=clock)
        if isinstance(data, Mapping):
            made._read_derived(data)  # noqa: SLF001 - of this class
        return made

    def _read_derived(self, data: Mapping[str, Any]) -> None:
        found = data.get("embeddings")
        vectors = remembered_vectors(data) if found is None else _rows(found)
        if vectors and len(vectors) == len(self.history):
            self.interaction_embeddings = vectors
        summary, stamp = data.get("summary"), data.get("summary_updated_at")
        self.summary = summary if isinstance(summary, str) else ""
        self.summary_updated_at = stamp if isinstance(stamp, int | float) else 0


def _embedded(embedder: ConversationEmbedder, query: str, response: str) -> list[float]:
    try:
        return _numbers(embedder.embed_interaction(query, response))
    except Exception as error:  # noqa: BLE001 - no failure loses an exchange, and the embedder is anyone's
        _log.warning("An exchange could not be embedded", error=type(error).__name__)
        return []


def _rows(vectors: Any) -> list[Any]:
    """Return vectors, in whatever they are held, as a list; an empty one when they are held in nothing."""
    return list(vectors) if isinstance(vectors, Iterable) and not isinstance(vectors, str) else []


def _numbers(vector: Any) -> list[float]:
    """Return a vector as a list of the caller's own; an empty one when it is no vector of finite numbers."""
    try:
        numbers = [float(number) for number in vector]
    except (TypeError, ValueError, OverflowError):
        return []
    return numbers if not isinstance(vector, str) and all(map(math.isfinite, numbers)) else []


@deprecated_function("enhanced_conversation")
def get_enhanced_conversation_from_session(session: MutableMapping[str, Any]) -> EnhancedConversation:
    """Return the conversation of a session; what is added to it is in the session once that is updated.

    Args:
        session: The session. Where it has no dict of a conversation, it gets that of an empty one.

    Returns:
        A conversation of the caller's own.

    Raises:
        InvalidArgumentError: What the session holds is in ragtime's own form, and wrong or of a newer version.
    """
    return EnhancedConversation.from_dict(stored_in(session))


@deprecated_function("enhanced_conversation")
def update_enhanced_conversation_in_session(session: MutableMapping[str, Any], conversation: _NewConversation) -> None:
    """Put a conversation into a session, as a dict.

    Vectors go with it while they fit into a cookie. Others stay in this process, and the dict names them; where they
    are gone, they are made anew when they are needed.

    Args:
        session: The session.
        conversation: The conversation; the session can hold one of ragtime's own classes, too.
    """
    update_conversation_in_session(session, conversation)
