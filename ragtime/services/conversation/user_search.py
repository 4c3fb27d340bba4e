"""Finding turns in all conversations of one user."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ragtime.errors import InvalidArgumentError
from ragtime.protocols import ConversationStore, TextEncoder
from ragtime.records.conversation import Interaction
from ragtime.services.conversation.bm25 import bm25_from_scope
from ragtime.services.conversation.fusion import CANDIDATES, combine_scores
from ragtime.services.conversation.recall_keys import key_text
from ragtime.utils.extras import LazyModule
from ragtime.utils.stems import stems_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["FoundInConversation", "SearchMode", "UserSearch"]

SearchMode = Literal["hybrid", "lexical", "semantic"]
_ENCODED_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class FoundInConversation:
    """A turn that a search over conversations has found.

    Attributes:
        conversation_id: Its conversation.
        interaction: The turn.
        score: How well it matches, comparable within one search.
    """

    conversation_id: str
    interaction: Interaction
    score: float


class UserSearch:
    """The vectors of one user's turns, brought up to date when something is searched; words are the store's to find.

    Only turns of this user are ever read or counted.
    """

    def __init__(self, store: ConversationStore, user_id: str | None) -> None:
        """Start without vectors."""
        self._store, self._user_id = store, user_id
        self._lock = threading.Lock()
        self._after = 0
        self._turns: list[tuple[str, Interaction]] = []
        self._places: dict[tuple[str, str], int] = {}
        self._vectors: npt.NDArray[np.float32] | None = None
        self._fingerprint = ""

    def find(
        self, query: str, *, k: int, mode: SearchMode, encoder: Callable[[], TextEncoder]
    ) -> list[FoundInConversation]:
        """Find turns.

        Args:
            query: The question.
            k: Most turns to return.
            mode: What to search by.
            encoder: Returns what embeds; asked only where meaning counts.

        Returns:
            The turns, the best first, equally good ones in the order in which they were stored.

        Raises:
            InvalidArgumentError: The question is blank, or `k` or `mode` is wrong.
            BackendError: The model failed.
        """
        if not query.strip() or k < 1:
            raise InvalidArgumentError("A search needs a question that is not blank, and k of at least 1")
        if mode not in {"hybrid", "lexical", "semantic"}:
            raise InvalidArgumentError(f"Unknown mode {mode!r}; there are hybrid, lexical and semantic")
        with self._lock:
            self._catch_up()
            shares = self._shares(query) if mode != "semantic" else {}
            cosines = self._cosines(query, encoder()) if mode != "lexical" else None
            return self._ranked(shares, cosines, k)

    def _catch_up(self) -> None:
        """Read the turns that were stored since, and all anew when some were forgotten, be it by another process."""
        self._read()
        if self._store.lexical_scope(self._user_id, ()).turns != len(self._turns):
            self._forget()
            self._read()

    def _forget(self) -> None:
        self._after = 0
        self._turns, self._places, self._vectors = [], {}, None

    def _read(self) -> None:
        for number, conversation_id, turn in self._store.changes(self._user_id, after=self._after):
            self._after = number
            key = (conversation_id, turn.interaction.id)
            if key not in self._places:
                self._places[key] = len(self._turns)
                self._turns.append((conversation_id, turn.interaction))

    def _shares(self, query: str) -> dict[int, float]:
        scope = self._store.lexical_scope(self._user_id, sorted(set(stems_of(query))))
        scores = bm25_from_scope(scope, query)
        found: dict[int, float] = {}
        for position, value in zip(scores.positions.tolist(), scores.values.tolist(), strict=True):
            match = scope.matches[position]
            place = self._places.get((match.conversation_id, match.turn_id))
            if place is not None:  # one that was stored a moment ago is found the next time
                found[place] = value / scores.bound
        return found

    def _cosines(self, query: str, encoder: TextEncoder) -> npt.NDArray[np.float32]:
        fingerprint = encoder.fingerprint("passage")
        if self._vectors is None or self._fingerprint != fingerprint:
            self._vectors, self._fingerprint = np.empty((0, encoder.dimension), dtype=np.float32), fingerprint
        new = [key_text(turn) for _, turn in self._turns[len(self._vectors) :]]
        parts = [
            encoder.encode(new[start : start + _ENCODED_AT_ONCE], role="passage")
            for start in range(0, len(new), _ENCODED_AT_ONCE)
        ]
        self._vectors = np.concatenate([self._vectors, *parts])
        found: npt.NDArray[np.float32] = self._vectors @ encoder.encode([query], role="query")[0]
        return found

    def _ranked(
        self, shares: dict[int, float], cosines: npt.NDArray[np.float32] | None, k: int
    ) -> list[FoundInConversation]:
        wanted = max(CANDIDATES, k)
        union = set(sorted(shares, key=lambda place: (-shares[place], place))[:wanted])
        if cosines is not None:
            union |= {int(place) for place in np.argsort(-cosines, kind="stable")[:wanted]}
        positions = np.array(sorted(union), dtype=np.int64)
        near = cosines[positions] if cosines is not None else np.zeros(len(positions), dtype=np.float32)
        words = np.array([shares.get(int(place), 0.0) for place in positions], dtype=np.float64)
        fused = combine_scores(positions, near, words)[:k]
        return [self._found(one.position, one.score) for one in fused]

    def _found(self, place: int, score: float) -> FoundInConversation:
        conversation_id, interaction = self._turns[place]
        stored = self._store.turn(self._user_id, conversation_id, interaction.id)  # it may have been rated since
        return FoundInConversation(conversation_id, interaction if stored is None else stored.interaction, score)
