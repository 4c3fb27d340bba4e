"""What a summary is, and what is summed up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, overload, runtime_checkable

from ragtime.records.conversation import Interaction

__all__ = [
    "Beginning",
    "Centrality",
    "FirstTurns",
    "Strategy",
    "Summary",
    "SummaryDraft",
    "SummaryRound",
    "SummarySentence",
    "Turns",
]

Strategy = Literal["extractive", "recent", "rolling", "hierarchical", "abstractive"]
"""How a conversation is summed up; see ``ConversationSummarizer``."""

Centrality = Literal["embedding", "lexical"]
"""What tells that two sentences are alike: the vectors of an encoder, or their words."""


@runtime_checkable
class Turns(Protocol):
    """A conversation, as far as a summary needs one."""

    @property
    def conversation_id(self) -> str:
        """Identifies it among those of its user."""
        ...

    @property
    def user_id(self) -> str | None:
        """Whose it is."""
        ...

    @property
    def created_at(self) -> datetime:
        """When it began."""
        ...

    def get_interactions(self) -> Sequence[Interaction]:
        """Return the turns of the active branch, the oldest first."""
        ...


class FirstTurns(Sequence[Interaction]):
    """The first turns of a branch, without a copy; the branch may grow meanwhile."""

    def __init__(self, path: Sequence[Interaction], count: int) -> None:
        """Show the first `count` of `path`, which has as many."""
        self._path, self._count = path, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Interaction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Interaction]: ...
    def __getitem__(self, index: int | slice) -> Interaction | Sequence[Interaction]:
        if isinstance(index, slice):
            return [self._path[place] for place in range(*index.indices(self._count))]
        return self._path[range(self._count)[index]]


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first turns of a conversation's active branch, to be summed up like a conversation.

    Attributes:
        conversation: The conversation.
        turns: The turns.
    """

    conversation: Turns
    turns: Sequence[Interaction]

    @property
    def conversation_id(self) -> str:
        """Identifies the conversation."""
        return self.conversation.conversation_id

    @property
    def user_id(self) -> str | None:
        """Whose it is."""
        return self.conversation.user_id

    @property
    def created_at(self) -> datetime:
        """When it began."""
        return self.conversation.created_at

    def get_interactions(self) -> Sequence[Interaction]:
        """Return the turns."""
        return self.turns


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """A sentence of a summary.

    Attributes:
        text: The sentence, without the name of who says it.
        turn_ids: The turns behind it, in the order of the conversation; at least one.
    """

    text: str
    turn_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of a conversation; ``str`` of it is its text.

    Attributes:
        text: The text; empty when nothing was said.
        strategy: How it was made.
        requested: How it was to be made; differs from `strategy` only after a fallback.
        tokens: Tokens of the text, never more than `max_tokens`.
        max_tokens: The budget.
        counter: Name of what counted.
        exact: Whether it is a tokenizer, not an estimate.
        sentences: The sentences of the text with the turns behind them, in order.
        fallback: What failed and was done in another way, such as ``generator failed (BackendError)``; ``None`` when
            nothing was.
        turns: Turns of the conversation that it covers.
        turns_read: Turns whose content was read for it; those known from an earlier call are not read again.
        nodes_computed: Summaries computed for it, itself included; 0 for one that is known from an earlier call.
    """

    text: str
    strategy: Strategy
    requested: Strategy
    tokens: int
    max_tokens: int
    counter: str
    exact: bool
    sentences: tuple[SummarySentence, ...]
    fallback: str | None
    turns: int
    turns_read: int
    nodes_computed: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class SummaryDraft:
    """What a strategy has made; its fields are those of ``Summary``."""

    text: str
    tokens: int
    strategy: Strategy
    sentences: tuple[SummarySentence, ...]
    read: int
    nodes: int
    fallback: str | None = None


@dataclass(frozen=True, slots=True)
class SummaryRound:
    """What a language model has written of all turns up to one.

    Attributes:
        text: Its summary.
        sentences: The sentences of it with the turns behind them.
        places: Where those turns stand in the conversation, from 0, ascending.
    """

    text: str
    sentences: tuple[SummarySentence, ...]
    places: tuple[int, ...]
