"""Summaries of conversations, by five strategies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, get_args

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import BackendCancelledError, BackendError, InvalidArgumentError, MissingExtraError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextEncoder, TextGenerator, TokenCounter
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.summaries.abstractive import write_abstract
from ragtime.services.conversation.summaries.models import SummaryModels
from ragtime.services.conversation.summaries.pieces import Budget, Piece, write
from ragtime.services.conversation.summaries.progressive import Reading
from ragtime.services.conversation.summaries.relevance import term_vectors
from ragtime.services.conversation.summaries.selection import choose
from ragtime.services.conversation.summaries.states import NodeKey, ReadTurns, SummaryStates
from ragtime.services.conversation.summaries.summary import (
    Centrality,
    Strategy,
    Summary,
    SummaryDraft,
    SummarySentence,
    Turns,
)
from ragtime.utils.extras import LazyModule
from ragtime.utils.tokens import EstimatedTokenCounter

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["ConversationSummarizer"]

_log = get_logger(__name__)
_STRATEGIES: tuple[str, ...] = get_args(Strategy)


class ConversationSummarizer:
    """Sums up conversations within a budget of tokens, and says which turns stand behind every sentence.

        >>> from ragtime.records.conversation import Interaction
        >>> turns = [Interaction(role="user", content="Is the Lisbon office open on Monday? I arrive on May 3.")]
        >>> summarizer = ConversationSummarizer(centrality="lexical")
        >>> str(summarizer.summarize(turns, max_tokens=10))
        'User: I arrive on May 3.'

    The strategies:

    - ``extractive``: the sentences that say most, by centrality and maximal marginal relevance. No language model.
    - ``recent``: the newest turns that fit.
    - ``rolling``: as ``extractive``, from notes that are brought up to date every `fan_out` turns; only new turns are
      read. Later turns have a better chance than with the others.
    - ``hierarchical``: as ``extractive``, from summaries of segments of `fan_out` turns, of segments of such segments,
      and so on; only new turns are read, and only the segments that they complete are summed up.
    - ``abstractive``: a language model writes, from the packaged prompt ``summarise``. Its sentences are attributed to
      the turns they share most words with.

    A model that fails is no error: ``abstractive`` falls back to ``extractive``, embeddings to words; the log and
    ``Summary.fallback`` tell. The turns of the system are instructions and no part of a summary. Summaries are views:
    a conversation is never changed. The same turns give the same text, whatever their ids are and whatever was summed
    up before. Methods may be called from many threads.

    Attributes:
        settings: The settings.
        fan_out: Turns of a segment, and segments of the next larger one.
        depth: Levels of a hierarchical summary, itself included.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        encoder: TextEncoder | None = None,
        generator: TextGenerator | None = None,
        counter: TokenCounter | None = None,
        centrality: Centrality = "embedding",
        fan_out: int | None = None,
        depth: int | None = None,
        max_conversations: int = 64,
    ) -> None:
        """Set up a summarizer; models are loaded when they are needed.

        Args:
            settings: The settings; ``None`` means the current ones.
            encoder: Embeds sentences; ``None`` means that of section ``embedding``, made when a conversation does not
                fit whole.
            generator: Writes abstractive summaries; ``None`` means that of section ``llm``.
            counter: Counts tokens; ``None`` means the estimate of ``ragtime.utils.tokens``.
            centrality: Whether sentences are compared by embeddings, or by their words (``lexical``), which needs no
                model.
            fan_out: Turns of a segment, and segments of the next larger one; also the turns after which rolling notes
                are brought up to date; ``None`` means ``conversation.summary_fan_out``.
            depth: Levels of a hierarchical summary, itself included; ``None`` means ``conversation.summary_depth``.
            max_conversations: Conversations of which something is kept between calls.

        Raises:
            InvalidArgumentError: An argument is out of range.
        """
        if centrality not in get_args(Centrality):
            raise InvalidArgumentError(f"centrality is 'embedding' or 'lexical', found {centrality!r}")
        self.settings = settings or get_settings()
        section = self.settings.conversation
        self.fan_out = section.summary_fan_out if fan_out is None else fan_out
        self.depth = section.summary_depth if depth is None else _checked_depth(depth)
        if self.fan_out < 2 or max_conversations < 1:  # noqa: PLR2004 - a segment of one turn would be the turn
            raise InvalidArgumentError(
                f"fan_out is at least 2 and max_conversations at least 1, found {fan_out} and {max_conversations}"
            )
        self._models = SummaryModels(self.settings, encoder=encoder, generator=generator)
        self._budget = Budget(counter or EstimatedTokenCounter())
        self._centrality = centrality
        self._states = SummaryStates(max_conversations)

    def summarize(
        self,
        conversation: Turns | Sequence[Interaction],
        *,
        strategy: Strategy | None = None,
        max_tokens: int | None = None,
        depth: int | None = None,
        degrade: bool = False,
    ) -> Summary:
        """Sum up a conversation.

        Args:
            conversation: The conversation, of which the active branch is read, or any turns, the oldest first. Only for
                a conversation something is kept for the next call.
            strategy: How; ``None`` means ``conversation.summary_strategy``.
            max_tokens: Most tokens of the text; ``None`` means ``conversation.summary_max_tokens``.
            depth: Levels of a hierarchical summary; ``None`` means those of the summarizer.
            degrade: Whether a model whose package is not installed counts as one that failed, instead of raising.

        Returns:
            The summary.

        Raises:
            InvalidArgumentError: An argument is out of range.
            ConfigurationError: An abstractive summary is wanted, and no generator is given or configured.
            MissingExtraError: A model's package is not installed; ``centrality="lexical"`` and ``degrade`` do without.
            BackendCancelledError: The caller's own signal stopped a model.
        """
        section, counter = self.settings.conversation, self._budget.counter
        requested = section.summary_strategy if strategy is None else strategy
        limit = section.summary_max_tokens if max_tokens is None else max_tokens
        levels = self.depth if depth is None else _checked_depth(depth)
        if requested not in _STRATEGIES:
            raise InvalidArgumentError(f"strategy is one of {', '.join(_STRATEGIES)}, found {requested!r}")
        if limit < 1:
            raise InvalidArgumentError(f"max_tokens is at least 1, found {limit}")
        found = self._states.read(conversation)
        tolerated = (BackendError, MissingExtraError) if degrade else (BackendError,)
        with log_operation(_log, "summarize", conversation_id=found.conversation_id, strategy=requested) as operation:
            made = self._sum_up(_Task(found, limit, levels, tolerated), requested)
            operation.add(strategy=made.strategy, turns=len(found.turns), turns_read=made.read, tokens=made.tokens)
        return Summary(
            text=made.text,
            strategy=made.strategy,
            requested=requested,
            tokens=made.tokens,
            max_tokens=limit,
            counter=counter.name,
            exact=counter.exact,
            sentences=made.sentences,
            fallback=made.fallback,
            turns=len(found.turns),
            turns_read=made.read,
            nodes_computed=made.nodes,
        )

    def forget(self, user_id: str | None, conversation_id: str | None = None) -> int:
        """Drop what is kept between calls, as after turns were forgotten.

        Args:
            user_id: Whose conversations.
            conversation_id: Only this one; ``None`` means all of the user.

        Returns:
            Of how many conversations something was kept.
        """
        return self._states.forget(user_id, conversation_id)

    def _sum_up(self, task: _Task, requested: Strategy) -> SummaryDraft:
        if requested != "abstractive" or all(turn.role == "system" for turn in task.found.turns):
            return self._kept_or(task, requested, self._extract)
        try:
            return self._kept_or(task, requested, self._abstract)
        except BackendCancelledError:
            raise
        except task.tolerated as error:
            reason = _failed("generator", error)
            made = self._kept_or(task, "extractive", self._extract)
            return replace(made, fallback="; ".join(filter(None, [reason, made.fallback])))

    def _kept_or(
        self, task: _Task, strategy: Strategy, make: Callable[[_Task, Strategy], SummaryDraft]
    ) -> SummaryDraft:
        """Return the summary of the same turns that was made before, or make it; one without a model is not kept."""
        turns, hashes, state, _ = task.found
        if not turns:
            return make(task, strategy)
        levels = task.depth if strategy == "hierarchical" else 0
        key: NodeKey = (f"summary {strategy}", levels, task.limit, len(turns), hashes[-1])
        known = state.get(key)
        if isinstance(known, SummaryDraft):
            return replace(known, read=0, nodes=0)
        made = make(task, strategy)
        if made.fallback is None:
            state.put(key, made)
        return made

    def _extract(self, task: _Task, strategy: Strategy) -> SummaryDraft:
        reading = Reading(task.found, self._budget)
        limit = task.limit
        failures: list[str] = []

        def vectors(pieces: Sequence[Piece]) -> npt.NDArray[np.floating]:
            if self._centrality == "lexical":
                return term_vectors(pieces)
            try:
                return self._models.embed(pieces, task.found.state)
            except BackendCancelledError:
                raise
            except task.tolerated as error:
                failures.append(_failed("encoder", error))
                return term_vectors(pieces)

        if strategy == "recent":
            chosen = reading.newest(limit)
        elif strategy == "rolling":
            chosen = choose(reading.rolling(self.fan_out, limit), limit, self._budget, vectors)
        elif strategy == "hierarchical":
            chosen = choose(reading.hierarchical(self.fan_out, task.depth, limit), limit, self._budget, vectors)
        else:
            chosen = choose(reading.all(), limit, self._budget, vectors)
        text = write(chosen)
        return SummaryDraft(
            text,
            self._budget.counter.count(text),
            strategy,
            tuple(SummarySentence(piece.text, (piece.turn_id,)) for piece in chosen),
            read=reading.read,
            nodes=reading.nodes + 1,
            fallback="; ".join(failures) or None,
        )

    def _abstract(self, task: _Task, strategy: Strategy) -> SummaryDraft:
        written = write_abstract(
            task.found,
            task.limit,
            generator=self._models.generator,
            prompt=self._models.prompt,
            counter=self._budget.counter,
            input_tokens=self.settings.conversation.window_tokens,
        )
        made, tokens = written.summary, self._budget.counter.count(written.summary.text)
        return SummaryDraft(made.text, tokens, strategy, made.sentences, read=written.read, nodes=written.rounds)


class _Task(NamedTuple):
    """What is to be summed up, and how."""

    found: ReadTurns
    limit: int
    depth: int
    tolerated: tuple[type[BackendError | MissingExtraError], ...]


def _checked_depth(depth: int) -> int:
    if depth < 1:
        raise InvalidArgumentError(f"depth is at least 1, found {depth}")
    return depth


def _failed(what: str, error: BackendError | MissingExtraError) -> str:
    """Log that a model failed, without the error's text, which may quote a turn; returns what a summary says of it."""
    reason = type(error).__name__
    _log.warning("A model failed; the summary is made without it", extra={"model": what, "error": reason})
    return f"{what} failed ({reason})"
