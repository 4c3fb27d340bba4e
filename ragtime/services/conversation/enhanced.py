"""A conversation that remembers: recall, summaries, context and answers in one object."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from ragtime.backends.generators import create_generator
from ragtime.config.settings import Settings
from ragtime.errors import BackendCancelledError, BackendError, MissingExtraError
from ragtime.protocols import AsyncTextGenerator, ConversationStore, TextGenerator, TokenCounter
from ragtime.records.conversation import ConversationHead, Interaction
from ragtime.services.conversation.context import Context, assemble_context
from ragtime.services.conversation.conversation import Conversation
from ragtime.services.conversation.embedder import ConversationEmbedder
from ragtime.services.conversation.recall import Recall, RecalledTurn, TurnRecall
from ragtime.services.conversation.summaries import Beginning, ConversationSummarizer, FirstTurns, Strategy, Summary
from ragtime.services.conversation.telling import MemoryWriter
from ragtime.services.conversation.tree import TurnTree
from ragtime.utils.templates import PromptManager
from ragtime.utils.tokens import EstimatedTokenCounter

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["EnhancedConversation"]

_REFERRING = re.compile(
    r"^\W*(?:and|but|so|or|what about|how about|why|how so|really|ok(?:ay)?|same)\b"
    r"|\b(?:it|its|that one|this one|these|those|they|them|their|he|she|him|her|above|earlier|previous(?:ly)?|"
    r"you (?:said|mentioned|wrote|told)|before that|again|instead|"
    r"the (?:first|second|third|last|other|former|latter) one)\b",
    re.IGNORECASE,
)
_FEW_WORDS = 3  # a question of so few words leans on what was said before
_LONG_BRANCH = 1000  # turns
_ALIKE = 0.5  # cosine from which a question goes on with the last exchange


class SharedModels(Protocol):
    """Parts that several conversations share, made when the first of them needs one."""

    @property
    def embedder(self) -> ConversationEmbedder:
        """What embeds turns and questions."""
        ...

    @property
    def summarizer(self) -> ConversationSummarizer:
        """What summarises."""
        ...


class EnhancedConversation(Conversation):
    """A conversation with recall, summaries, context and answers.

        >>> from ragtime.testing import HashEncoder
        >>> embedder = ConversationEmbedder(encoder=HashEncoder(16))
        >>> conversation = EnhancedConversation(embedder=embedder)
        >>> _ = conversation.add_exchange("Where is the oven's manual?", "In the blue folder.")
        >>> [turn.content for turn in conversation.get_relevant_interactions("blue folder", top_k=1)]
        ['In the blue folder.']

    Nothing is embedded before something is recalled, and each turn once.
    """

    def __init__(
        self,
        conversation_id: str | None = None,
        *,
        user_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        settings: Settings | None = None,
        clock: Callable[[], datetime] | None = None,
        embedder: ConversationEmbedder | None = None,
        summarizer: ConversationSummarizer | None = None,
        counter: TokenCounter | None = None,
    ) -> None:
        """Begin a conversation.

        Args:
            conversation_id: As for ``Conversation``.
            user_id: As for ``Conversation``.
            metadata: As for ``Conversation``.
            settings: As for ``Conversation``.
            clock: As for ``Conversation``.
            embedder: Embeds turns and questions; ``None`` means one by the settings, made when it is needed.
            summarizer: Summarises; ``None`` means one by the settings, with the same encoder.
            counter: Counts tokens; ``None`` means the estimate of ``ragtime.utils.tokens``.

        Raises:
            pydantic.ValidationError: An id or the metadata is none.
        """
        super().__init__(conversation_id, user_id=user_id, metadata=metadata, settings=settings, clock=clock)
        self._equip(embedder, summarizer, counter)

    def _setup(
        self, head: ConversationHead, tree: TurnTree, settings: Settings, store: ConversationStore | None
    ) -> None:
        super()._setup(head, tree, settings, store)
        self._recall: tuple[int, TurnRecall] | None = None
        self._equip(None, None, None)

    def _equip(
        self,
        embedder: ConversationEmbedder | None,
        summarizer: ConversationSummarizer | None,
        counter: TokenCounter | None,
        shared: SharedModels | None = None,
    ) -> None:
        """Take the parts that recall and summaries need; those that are not given are `shared`, or of its own."""
        self._embedder, self._summarizer, self._shared = embedder, summarizer, shared
        self._counter = counter or EstimatedTokenCounter()

    def fork(self, at: str | Interaction | None = None, *, conversation_id: str | None = None) -> EnhancedConversation:
        """Begin a new conversation that shares the turns up to one of this; see ``Conversation.fork``."""
        made = super().fork(at, conversation_id=conversation_id)
        made._equip(self._embedder, self._summarizer, self._counter, self._shared)  # noqa: SLF001 - of this class
        return made

    @property
    def embedder(self) -> ConversationEmbedder:
        """What embeds turns and questions."""
        with self._lock:
            if self._embedder is None:
                shared = self._shared
                self._embedder = ConversationEmbedder(self.settings) if shared is None else shared.embedder
            return self._embedder

    @property
    def summarizer(self) -> ConversationSummarizer:
        """What summarises."""
        with self._lock:
            if self._summarizer is None and self._shared is not None:
                self._summarizer = self._shared.summarizer
            if self._summarizer is None:
                encoder = self._embedder.encoder if self._embedder is not None else None
                self._summarizer = ConversationSummarizer(self.settings, encoder=encoder, counter=self._counter)
            return self._summarizer

    # --- recall -------------------------------------------------------------------------------------------------

    def recall(self, query: str, top_k: int | None = None, *, degrade: bool = False) -> Recall:
        """Find earlier turns of the active branch that have to do with a question, by words and meaning together.

        Args:
            query: The question. A time that it names, such as "yesterday", lifts the turns of then.
            top_k: Most turns to return; ``None`` means ``conversation.recall_top_k``.
            degrade: Whether to search the words alone when the model fails, with a warning, instead of raising.

        Returns:
            The turns with what they were found by, the best first.

        Raises:
            InvalidArgumentError: The question is blank, or `top_k` not positive.
            BackendError: The model failed.
            MissingExtraError: The model's package is not installed.
        """
        with self._lock:
            version = self._tree.version
            if self._recall is None or self._recall[0] != version:
                self._recall = (version, TurnRecall())
            return self._recall[1].find(
                self._tree.path,
                query,
                k=self.settings.conversation.recall_top_k if top_k is None else top_k,
                encoder=lambda: self.embedder.encoder,
                now=self._clock(),
                degrade=degrade,
            )

    def get_relevant_interactions(self, query: str, top_k: int | None = None) -> list[Interaction]:
        """Return the turns that ``recall`` finds, the best first."""
        return [found.interaction for found in self.recall(query, top_k).turns]

    def is_follow_up(self, query: str) -> bool:
        """Whether a question leans on what was said before.

        It does when it is very short or has words that point back, or when its meaning is near to the last exchange.
        Without a model the words alone decide.

        Args:
            query: The question.

        Returns:
            Whether it does; never, in a conversation without turns.

        Raises:
            BackendCancelledError: The caller's own signal stopped the model.
        """
        with self._lock:
            last = self._tree.path[-2:]
        if not last:
            return False
        if _REFERRING.search(query) or len(query.split()) <= _FEW_WORDS:
            return True
        try:
            vector = self.embedder.embed_query(query)
            return bool((self.embedder.embed_interactions(last) @ vector).max() >= _ALIKE)
        except BackendCancelledError:
            raise
        except (BackendError, MissingExtraError):
            return False

    # --- summaries and context ----------------------------------------------------------------------------------

    def summarize(
        self,
        *,
        strategy: Strategy | None = None,
        max_tokens: int | None = None,
        depth: int | None = None,
        degrade: bool = False,
    ) -> Summary:
        """Summarise the active branch; see ``ConversationSummarizer.summarize``."""
        return self.summarizer.summarize(self, strategy=strategy, max_tokens=max_tokens, depth=depth, degrade=degrade)

    def build_context(
        self,
        query: str,
        max_tokens: int | None = None,
        *,
        top_k: int | None = None,
        recalled: Sequence[RecalledTurn] | None = None,
        degrade: bool = True,
    ) -> Context:
        """Put together what a model has to know to answer a question: system, summary, recalled and newest turns.

        The summary is of the turns that come before the newest. It is made anew when as many turns as
        ``conversation.summary_fan_out`` have been added; until then it reaches a few turns into the newest.

        Args:
            query: The question; it is the last message.
            max_tokens: The budget; ``None`` means ``conversation.window_tokens``.
            top_k: Most turns to recall; ``None`` means ``conversation.recall_top_k``.
            recalled: Turns that were recalled already; ``None`` means to recall them now, where they are needed.
            degrade: Whether to recall and summarise by words alone when the model fails or its package is not
                installed, with a warning, instead of raising.

        Returns:
            The messages, never above the budget, with what was left out and why.

        Raises:
            InvalidArgumentError: The question and the system's turns leave no room in the budget.
            BackendError: The model failed.
            MissingExtraError: The model's package is not installed.
        """

        def recall() -> Recall:
            if recalled is not None or not query.strip():
                return Recall(tuple(recalled or ()))
            return self.recall(query, top_k, degrade=degrade)

        while True:
            version = self._tree.version
            context = assemble_context(
                query,
                max_tokens=self.settings.conversation.window_tokens if max_tokens is None else max_tokens,
                counter=self._counter,
                window=lambda tokens: self.window(tokens, counter=self._counter),
                summarize=lambda tokens, count: self._summarize_first(count, tokens, degrade=degrade),
                recall=recall,
                memory=self._memory_writer,
            )
            if self._tree.version == version:  # else another thread has switched to another branch meanwhile
                return context

    @cached_property
    def _memory_writer(self) -> MemoryWriter:
        return MemoryWriter(PromptManager(settings=self.settings).get("memory"), self._counter)

    def _summarize_first(self, count: int, max_tokens: int, *, degrade: bool) -> Summary:
        """Summarise the first turns of the active branch: `count`, and those that complete a segment with them."""
        summarizer = self.summarizer
        with self._lock:
            path = self._tree.path
            turns = FirstTurns(path, min(len(path), -(-count // summarizer.fan_out) * summarizer.fan_out))
        # An extractive summary of a long branch would read all of it each time.
        extractive = self.settings.conversation.summary_strategy == "extractive"
        return summarizer.summarize(
            Beginning(self, turns),
            strategy="hierarchical" if extractive and len(turns) > _LONG_BRANCH else None,
            max_tokens=max_tokens,
            degrade=degrade,
        )

    # --- answers ------------------------------------------------------------------------------------------------

    def respond(
        self,
        query: str,
        generator: TextGenerator | None = None,
        *,
        max_tokens: int | None = None,
        document_ids: Sequence[str] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        **options: Any,
    ) -> Interaction:
        """Answer a question with the conversation as its context, and keep both.

        Args:
            query: The question.
            generator: Writes the answer; ``None`` means that of section ``llm``.
            max_tokens: The budget of the context; ``None`` means ``conversation.window_tokens``.
            document_ids: Ids of the documents that the answer drew on.
            metadata: Metadata of the answer; ``None`` means none.
            **options: Further arguments of ``TextGenerator.generate``, such as `temperature`.

        Returns:
            The answer's turn.

        Raises:
            pydantic.ValidationError: The question is blank, or no text that can be kept; no model was asked.
            InvalidArgumentError: The budget is too small.
            BackendError: The model failed, or its answer is blank; the conversation is then as before.
            StorageError: The exchange cannot be stored.
        """
        Interaction(role="user", content=query)  # what cannot be kept is refused before a model is asked
        writer = create_generator(self.settings) if generator is None else generator
        context = self.build_context(query, max_tokens)
        answer = _checked(writer.generate(list(context.messages), **options))
        return self.add_exchange(query, answer, document_ids=document_ids, metadata=metadata)[1]

    async def arespond(
        self,
        query: str,
        generator: AsyncTextGenerator,
        *,
        max_tokens: int | None = None,
        document_ids: Sequence[str] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        **options: Any,
    ) -> Interaction:
        """Answer without blocking the event loop; see ``respond``."""
        import asyncio  # noqa: PLC0415 - only where it is used

        Interaction(role="user", content=query)  # as in respond
        context = await asyncio.to_thread(self.build_context, query, max_tokens)
        answer = _checked(await generator.agenerate(list(context.messages), **options))
        pair = await asyncio.to_thread(
            lambda: self.add_exchange(query, answer, document_ids=document_ids, metadata=metadata)
        )
        return pair[1]


def _checked(answer: str) -> str:
    """Return what a model wrote; raises ``BackendError`` where it is nothing that a turn can hold."""
    try:
        Interaction(role="assistant", content=answer)
    except ValidationError as error:
        (problem, *_) = error.errors(include_url=False, include_input=False, include_context=False)
        reason = problem["msg"].removeprefix("Value error, ")
        raise BackendError(
            f"The model gave an answer that cannot be kept (content: {reason}); nothing was added"
        ) from None
    return answer
