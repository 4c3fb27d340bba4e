"""What is kept of conversations between two summaries: bounded, and valid by the ids of turns."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from ragtime.records.conversation import Interaction
from ragtime.services.conversation.summaries.pieces import Piece
from ragtime.services.conversation.summaries.summary import Turns
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["ConversationKey", "ConversationState", "NodeKey", "SummaryStates", "turns_and_key"]

ConversationKey: TypeAlias = tuple[str | None, str, datetime]
"""User, id and beginning, so that one that was deleted and made anew is another one."""

NodeKey: TypeAlias = tuple[str, int, int, int, str]
"""Kind, level, budget, number of turns up to its end, and id of its last turn.

A turn's id and place determine all that comes before it: edits and branches give other ids, forgotten turns other
places. So what is kept under a key never becomes wrong; it is only no longer asked for.
"""

_KEPT = 256  # nodes of one conversation, unless it needs more at once

PieceVectors: TypeAlias = "dict[tuple[str, int, int, str], npt.NDArray[np.floating]]"
"""Vectors by turn, place, number and text of the sentence."""


def turns_and_key(
    conversation: Turns | Sequence[Interaction],
) -> tuple[Sequence[Interaction], ConversationKey | None]:
    """Return the turns to sum up, and what identifies the conversation; ``None`` for mere turns, which have no id."""
    if not isinstance(conversation, Turns):
        return list(conversation), None
    key = (conversation.user_id, conversation.conversation_id, conversation.created_at)
    return conversation.get_interactions(), key


class ConversationState:
    """What is kept of one conversation: summaries of its parts, its newest turns split, and vectors of candidates.

    Methods may be called from many threads.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = threading.Lock()
        self._nodes: OrderedDict[NodeKey, tuple[Piece, ...] | str] = OrderedDict()
        self._vectors: PieceVectors = {}

    def get(self, key: NodeKey) -> tuple[Piece, ...] | str | None:
        """Return what is kept under a key, or ``None``."""
        with self._lock:
            found = self._nodes.get(key)
            if found is not None:
                self._nodes.move_to_end(key)
            return found

    def put(self, key: NodeKey, value: tuple[Piece, ...] | str) -> None:
        """Keep something; the least recently used goes when there is too much."""
        self.refresh({key: value})

    def refresh(self, nodes: Mapping[NodeKey, tuple[Piece, ...] | str]) -> None:
        """Keep all of `nodes`, which the next summary needs, however many; others go first."""
        with self._lock:
            for key, value in nodes.items():
                self._nodes[key] = value
                self._nodes.move_to_end(key)
            while len(self._nodes) > max(_KEPT, len(nodes)):
                self._nodes.popitem(last=False)

    @property
    def vectors(self) -> PieceVectors:
        """The vectors of the last candidates, which nobody changes."""
        with self._lock:
            return self._vectors

    def keep_vectors(self, vectors: PieceVectors) -> None:
        """Keep these vectors in the place of the former ones."""
        with self._lock:
            self._vectors = vectors


class SummaryStates:
    """The states of the conversations that were summed up last."""

    def __init__(self, max_conversations: int) -> None:
        """Keep at most so many."""
        self._lock = threading.Lock()
        self._limit = max_conversations
        self._states: OrderedDict[ConversationKey, ConversationState] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def of(self, key: ConversationKey | None) -> ConversationState:
        """Return the state of a conversation; an empty one when it has none, which is not kept for ``None``."""
        if key is None:
            return ConversationState()
        with self._lock:
            state = self._states.setdefault(key, ConversationState())
            self._states.move_to_end(key)
            while len(self._states) > self._limit:
                self._states.popitem(last=False)
            return state

    def forget(self, user_id: str | None, conversation_id: str | None) -> int:
        """Drop the states of a user, or of one conversation; returns how many there were."""
        with self._lock:
            gone = [key for key in self._states if key[0] == user_id and conversation_id in {None, key[1]}]
            for key in gone:
                del self._states[key]
            return len(gone)
