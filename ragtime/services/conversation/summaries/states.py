"""What is kept of conversations between two summaries: bounded, and valid by what was said."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from ragtime.records.conversation import Interaction
from ragtime.services.conversation.summaries.pieces import Piece
from ragtime.services.conversation.summaries.summary import Beginning, SummaryDraft, SummaryRound, Turns
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["ConversationKey", "ConversationState", "Kept", "NodeKey", "ReadTurns", "SummaryStates", "TurnHashes"]

ConversationKey: TypeAlias = tuple[str | None, str, datetime]
"""User, id and beginning, so that one that was deleted and made anew is another one."""

NodeKey: TypeAlias = tuple[str, int, int, int, int]
"""Kind, level, budget, number of turns up to its end, and hash of all of them.

Edits, branches, and turns that were forgotten or written anew give other hashes. So what is kept under a key never
becomes wrong; it is only no longer asked for.
"""

Kept: TypeAlias = tuple[Piece, ...] | SummaryRound | SummaryDraft
"""Sentences chosen of a part or split of a turn, what a model wrote up to a turn, or a finished summary."""

_KEPT = 256  # nodes of one conversation, unless it needs more at once

PieceVectors: TypeAlias = "dict[tuple[str, int, int, str], npt.NDArray[np.floating]]"
"""Vectors by turn, place, number and text of the sentence."""


class TurnHashes:
    """Hashes of the turns of a branch up to each, of one conversation in memory, where an id tells the content."""

    def __init__(self) -> None:
        """Start with no turn."""
        self._lock = threading.Lock()
        self._ids: list[str] = []
        self._hashes = array("q")

    def of(self, turns: Sequence[Interaction]) -> Sequence[int]:
        """Return the hashes, for each turn that of itself and all before it; only new turns are read."""
        with self._lock:
            ids = self._ids
            same = min(len(ids), len(turns))
            if same and ids[same - 1] != turns[same - 1].id:  # another branch: the same turns up to where they part
                same = bisect_left(range(same), 1, key=lambda place: ids[place] != turns[place].id)
            if same < len(turns):
                del ids[same:], self._hashes[same:]
            for place in range(same, len(turns)):
                ids.append(turns[place].id)
                self._hashes.append(hash((self._hashes[-1] if place else 0, _said(turns[place]))))
            return self._hashes[: len(turns)]


def _said(turn: Interaction) -> tuple[Hashable, ...]:
    return turn.id, turn.role, turn.name, turn.content, turn.tool_calls, turn.parts


class ConversationState:
    """What is kept of one conversation: summaries of it and of its parts, its newest turns split, and vectors.

    Methods may be called from many threads.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = threading.Lock()
        self._nodes: OrderedDict[NodeKey, Kept] = OrderedDict()
        self._vectors: PieceVectors = {}

    def get(self, key: NodeKey) -> Kept | None:
        """Return what is kept under a key, or ``None``."""
        with self._lock:
            found = self._nodes.get(key)
            if found is not None:
                self._nodes.move_to_end(key)
            return found

    def put(self, key: NodeKey, value: Kept) -> None:
        """Keep something; the least recently used goes when there is too much."""
        self.refresh({key: value})

    def refresh(self, nodes: Mapping[NodeKey, Kept]) -> None:
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


class ReadTurns(NamedTuple):
    """The turns to sum up.

    Attributes:
        turns: The turns, the oldest first.
        hashes: For each the hash of it and all before it.
        state: What is kept of their conversation.
        conversation_id: The conversation; ``None`` for mere turns.
    """

    turns: Sequence[Interaction]
    hashes: Sequence[int]
    state: ConversationState
    conversation_id: str | None


class SummaryStates:
    """The states of the conversations that were summed up last."""

    def __init__(self, max_conversations: int) -> None:
        """Keep at most so many."""
        self._lock = threading.Lock()
        self._limit = max_conversations
        self._states: OrderedDict[ConversationKey, ConversationState] = OrderedDict()
        self._hashes: WeakKeyDictionary[Turns, TurnHashes] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._states)

    def read(self, conversation: Turns | Sequence[Interaction]) -> ReadTurns:
        """Return the turns to sum up with what is kept of them; nothing is kept of mere turns, which have no id."""
        if not isinstance(conversation, Turns):
            turns = list(conversation)
            return ReadTurns(turns, range(len(turns)), ConversationState(), None)
        key = (conversation.user_id, conversation.conversation_id, conversation.created_at)
        whole = conversation.conversation if isinstance(conversation, Beginning) else conversation
        found = conversation.get_interactions()
        with self._lock:
            state = self._states.setdefault(key, ConversationState())
            self._states.move_to_end(key)
            while len(self._states) > self._limit:
                self._states.popitem(last=False)
            try:
                hashes = self._hashes.setdefault(whole, TurnHashes())
            except TypeError:  # a class of others may allow neither hashes nor weak references
                hashes = TurnHashes()
        return ReadTurns(found, hashes.of(found), state, conversation.conversation_id)

    def forget(self, user_id: str | None, conversation_id: str | None) -> int:
        """Drop the states of a user, or of one conversation; returns how many there were."""
        with self._lock:
            gone = [key for key in self._states if key[0] == user_id and conversation_id in {None, key[1]}]
            for key in gone:
                del self._states[key]
            return len(gone)
