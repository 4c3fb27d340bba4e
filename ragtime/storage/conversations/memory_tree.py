"""The tree of turns that the store in memory keeps; forks share branches of it by reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ragtime.records.conversation import ConversationHead, Fork, Interaction, StoredTurn

__all__ = ["Conversation", "Turn", "by_number", "head_of"]


@dataclass(slots=True, eq=False)
class Turn:
    """A turn in the tree; a fork shares it by reference."""

    number: int
    interaction: Interaction
    parent: Turn | None
    owner: Conversation
    stems: Counter[str] | None = None

    def stored(self) -> StoredTurn:
        """Return the turn as stores give it."""
        return StoredTurn(interaction=self.interaction, parent_id=self.parent.interaction.id if self.parent else None)


@dataclass(slots=True, eq=False)
class Conversation:
    """A conversation and the turns that are stored in it, by id."""

    head: ConversationHead
    order: int
    origin: Conversation | None = None
    fork: Turn | None = None
    tip: Turn | None = None
    own: dict[str, Turn] = field(default_factory=dict)

    def shared(self) -> list[Turn]:
        """Return the turns shared with the origin, the first one first."""
        path, turn = [], self.fork
        while turn is not None:
            path.append(turn)
            turn = turn.parent
        return path[::-1]

    def find(self, turn_id: str) -> Turn | None:
        """Return a turn that it has or shares."""
        found = self.own.get(turn_id)
        if found is None and self.fork is not None:
            found = next((turn for turn in self.shared() if turn.interaction.id == turn_id), None)
        return found

    def fallback(self) -> Turn | None:
        """Return what becomes the tip where there is no turn before the one that was removed."""
        return max(self.own.values(), key=lambda turn: turn.number, default=self.fork)


def by_number(turns: Iterable[Turn]) -> list[Turn]:
    """Return turns in the order in which they were stored."""
    return sorted(turns, key=lambda turn: turn.number)


def head_of(found: Conversation) -> ConversationHead:
    """Return what is known of a conversation, as it is now."""
    fork = None
    if found.fork is not None and found.origin is not None:
        fork = Fork(conversation_id=found.origin.head.id, turn_id=found.fork.interaction.id)
    return found.head.model_copy(
        update={"fork": fork, "tip": found.tip.interaction.id if found.tip is not None else None}
    )
