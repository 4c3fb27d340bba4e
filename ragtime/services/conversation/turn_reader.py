"""Reading the turns of a conversation: all of them, some, those with certain words, those that fit a budget."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from ragtime.config.settings import Settings
from ragtime.errors import InvalidArgumentError
from ragtime.protocols import TokenCounter
from ragtime.records.conversation import Interaction, InteractionRole
from ragtime.services.conversation.lexical import LexicalIndex
from ragtime.services.conversation.tree import TurnTree, turn_id_of
from ragtime.services.conversation.window import Unanswered, Window, WindowIndex
from ragtime.utils.tokens import EstimatedTokenCounter

__all__ = ["Branch", "FoundTurn", "TurnReader", "Where"]

_ROLES: tuple[str, ...] = get_args(InteractionRole)

Where = Mapping[str, Any] | Callable[[Interaction], bool]
"""Values that metadata must have, or a function that says of a turn whether it is wanted."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a conversation.

    Attributes:
        tip: Id of its last turn; ``switch`` takes it.
        turns: How many turns it has.
        active: Whether it is the one that is read and added to.
    """

    tip: str
    turns: int
    active: bool


@dataclass(frozen=True, slots=True)
class FoundTurn:
    """A turn that a search has found.

    Attributes:
        interaction: The turn.
        score: How well it matches, comparable within one search.
        place: Where it stands in the active branch, from 0.
    """

    interaction: Interaction
    score: float
    place: int


class TurnReader:
    """Reads the active branch of a tree of turns; changes nothing.

    Attributes:
        settings: The settings.
    """

    def __init__(self, tree: TurnTree, settings: Settings) -> None:
        """Read a tree, which may grow and change between calls.

        Args:
            tree: The turns.
            settings: The settings.
        """
        self._tree = tree
        self.settings = settings
        self._lock = threading.RLock()
        self._windows: dict[tuple[type, str], tuple[int, WindowIndex]] = {}
        self._lexical: tuple[int, LexicalIndex] | None = None

    def __len__(self) -> int:
        return len(self._tree.path)

    def __bool__(self) -> bool:
        return True  # one without turns is a conversation, too

    def __iter__(self) -> Iterator[Interaction]:
        return iter(self.get_interactions())

    def branches(self) -> list[Branch]:
        """Return all branches, in the order in which their last turns were stored."""
        with self._lock:
            tip = self._tree.tip
            return [Branch(one, len(self._tree.branch(one)), one == tip) for one in self._tree.tips()]

    def get_interaction(self, interaction_id: str | Interaction) -> Interaction:
        """Return a turn of any branch as it is now, with all its ratings.

        Args:
            interaction_id: The turn, or its id.

        Returns:
            The turn.

        Raises:
            InvalidArgumentError: There is no such turn.
        """
        turn_id = turn_id_of(interaction_id)
        with self._lock:
            return self._tree.get(turn_id).interaction

    def get_interactions(
        self,
        *,
        role: InteractionRole | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        where: Where | None = None,
        last: int | None = None,
    ) -> list[Interaction]:
        """Return turns of the active branch, the oldest first.

        Args:
            role: Only those of this role; ``None`` means all.
            since: Only those of then or later, with a time zone; ``None`` means all.
            until: Only those before, with a time zone; ``None`` means all.
            where: Only those whose metadata has these values, or for which this function returns true; ``None`` means
                all.
            last: Only the last so many of these; ``None`` means all.

        Returns:
            The turns, in a list of the caller's own.

        Raises:
            InvalidArgumentError: `last` is negative, a time has no time zone, or there is no such role.
        """
        _check_role(role)
        if last is not None and last < 0:
            raise InvalidArgumentError(f"last is at least 0, found {last}")
        for time in (since, until):
            if time is not None and time.tzinfo is None:
                raise InvalidArgumentError("since and until need a time zone")
        with self._lock:
            found = list(self._tree.path)
        if role is not None or since is not None or until is not None or where is not None:
            found = [
                turn
                for turn in found
                if role in {None, turn.role}
                and (since is None or turn.created_at >= since)
                and (until is None or turn.created_at < until)
                and _matches(turn, where)
            ]
        return found if last is None else found[len(found) - min(last, len(found)) :]

    def search(self, text: str, *, k: int = 10, role: InteractionRole | None = None) -> list[FoundTurn]:
        """Find turns of the active branch by their words, by stems and BM25.

        Args:
            text: What is searched for.
            k: Most turns to return.
            role: Only those of this role; ``None`` means all.

        Returns:
            The turns, the best first, equally good ones in their order; only those that hold one of the words.

        Raises:
            InvalidArgumentError: `k` is not positive, or there is no such role.
        """
        _check_role(role)
        if k < 1:
            raise InvalidArgumentError(f"k is at least 1, found {k}")
        with self._lock:
            path = list(self._tree.path)
            index = self._lexical_index()
            wanted = len(path) if role is not None else k
            hits = index.search(text, wanted)
        found = [FoundTurn(path[place], score, place) for place, score in hits if role in {None, path[place].role}]
        return found[:k]

    def _lexical_index(self) -> LexicalIndex:
        """Return the index of the active branch, brought up to date; the lock is held."""
        version, path = self._tree.version, self._tree.path
        if self._lexical is None or self._lexical[0] != version:
            self._lexical = (version, LexicalIndex())
        index = self._lexical[1]
        for interaction in path[len(index) :]:
            index.add(interaction.content)
        return index

    def window(
        self,
        max_tokens: int | None = None,
        *,
        counter: TokenCounter | None = None,
        unanswered: Unanswered = "drop",
        first_role: InteractionRole | None = None,
    ) -> Window:
        """Return the newest turns that fit a budget.

        The system's turns at the beginning are always in it. A tool call and its results are in it together or not at
        all. A larger budget never gives fewer turns.

        Args:
            max_tokens: The budget; ``None`` means ``conversation.window_tokens``.
            counter: Counts; ``None`` means the estimate of ``ragtime.utils.tokens``.
            unanswered: Whether to ``drop`` a turn whose tool calls have not all been answered, or ``keep`` it.
            first_role: The role that the first turn after the system's has to have; ``None`` means any.

        Returns:
            The window, a sequence of turns that knows its tokens and what was left out.

        Raises:
            InvalidArgumentError: The budget is too small for the system's turns, or there is no such role.
        """
        _check_role(first_role)
        counting = counter or EstimatedTokenCounter()
        key = (type(counting), counting.name)  # a counter may be made anew for every call
        with self._lock:
            known = self._windows.get(key)
            if known is None or known[0] != self._tree.version:
                known = self._windows[key] = (self._tree.version, WindowIndex(counting))
            known[1].extend(self._tree.path)
            budget = self.settings.conversation.window_tokens if max_tokens is None else max_tokens
            return known[1].window(self._tree.path, budget, unanswered=unanswered, first_role=first_role)


def _check_role(role: str | None) -> None:
    """Refuse a role that no turn can have, which would find nothing without a word."""
    if role is not None and role not in _ROLES:
        raise InvalidArgumentError(f"role is one of {', '.join(_ROLES)}, found {str(role)[:50]!r}")


def _matches(interaction: Interaction, where: Where | None) -> bool:
    if where is None:
        return True
    if callable(where):
        return bool(where(interaction))
    missing = object()
    return all(interaction.metadata.get(name, missing) == value for name, value in where.items())
