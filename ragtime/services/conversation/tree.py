"""The turns of a conversation as a tree: every edit and every new answer is a branch, and nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import Interaction, StoredTurn

__all__ = ["TurnTree", "calls_in", "note_calls", "turn_id_of"]


class TurnTree:
    """All turns of a conversation, and the branch that is active.

    Attributes:
        path: The turns of the active branch, the oldest first; changed by this class alone.
        calls: Whether each tool call of the active branch was answered, by its id; changed by this class alone.
        version: Grows when the active branch is another than before, and not when it only becomes longer.
    """

    def __init__(self, turns: Iterable[StoredTurn] = (), *, tip: str | None = None) -> None:
        """Build the tree.

        Args:
            turns: The turns, each after its parent.
            tip: The last turn of the active branch; ``None`` means the turn that was stored last.

        Raises:
            InvalidArgumentError: A turn names a parent that is not there, an id stands twice, or the tip is no turn.
        """
        self._turns: dict[str, StoredTurn] = {}
        self._parents: set[str | None] = set()
        self._places: dict[str, int] = {}
        self.path: list[Interaction] = []
        self.calls: dict[str, bool] = {}
        self.version = 0
        last: str | None = None
        for turn in turns:
            self._insert(turn)
            last = turn.interaction.id
        chosen = tip or last
        if chosen is not None:
            self.switch(chosen)

    def __len__(self) -> int:
        return len(self._turns)

    def __contains__(self, turn_id: str) -> bool:
        return turn_id in self._turns

    def __iter__(self) -> Iterator[StoredTurn]:
        return iter(list(self._turns.values()))

    @property
    def tip(self) -> str | None:
        """The last turn of the active branch; ``None`` while there is none."""
        return self.path[-1].id if self.path else None

    def get(self, turn_id: str) -> StoredTurn:
        """Return a turn of any branch.

        Args:
            turn_id: The turn.

        Returns:
            The turn and its parent.

        Raises:
            InvalidArgumentError: There is no such turn.
        """
        try:
            return self._turns[turn_id]
        except KeyError:
            raise InvalidArgumentError(f"This conversation has no turn {turn_id[:100]!r}") from None

    def place(self, turn_id: str) -> int | None:
        """Return where a turn stands in the active branch, from 0; ``None`` when it is in another one."""
        return self._places.get(turn_id)

    def add(self, turn: StoredTurn) -> None:
        """Add a turn after its parent, and make it the tip.

        Args:
            turn: The turn.

        Raises:
            InvalidArgumentError: Its parent is not there, or its id is taken.
        """
        grows = turn.parent_id == self.tip
        self._insert(turn)
        if grows:
            self._places[turn.interaction.id] = len(self.path)
            self.path.append(turn.interaction)
            note_calls(self.calls, turn.interaction)
        else:
            self.switch(turn.interaction.id)

    def _insert(self, turn: StoredTurn) -> None:
        turn_id = turn.interaction.id
        if turn_id in self._turns:
            raise InvalidArgumentError(f"There is a turn with the id {turn_id[:100]!r} already")
        if turn.parent_id is not None and turn.parent_id not in self._turns:
            raise InvalidArgumentError(f"The turn {turn_id[:100]!r} follows one that is not there")
        self._turns[turn_id] = turn
        self._parents.add(turn.parent_id)

    def replace(self, interaction: Interaction) -> None:
        """Put a changed record of a turn, such as one with more feedback, in its place."""
        former = self.get(interaction.id)
        self._turns[interaction.id] = StoredTurn(interaction=interaction, parent_id=former.parent_id)
        place = self._places.get(interaction.id)
        if place is not None:
            self.path[place] = interaction

    def switch(self, tip: str) -> None:
        """Make the branch that ends with a turn the active one; raises ``InvalidArgumentError`` when there is none."""
        self.path = [turn.interaction for turn in self.branch(tip)]
        self._places = {interaction.id: place for place, interaction in enumerate(self.path)}
        self.calls = calls_in(self.path)
        self.version += 1

    def branch(self, tip: str) -> list[StoredTurn]:
        """Return the turns from the first to `tip`."""
        found: list[StoredTurn] = []
        turn: StoredTurn | None = self.get(tip)
        while turn is not None:
            found.append(turn)
            turn = self._turns[turn.parent_id] if turn.parent_id is not None else None
        found.reverse()
        return found

    def tips(self) -> list[str]:
        """Return the last turns of all branches, in the order in which they were stored."""
        return [turn_id for turn_id in self._turns if turn_id not in self._parents]


def turn_id_of(turn: str | Interaction) -> str:
    """Return the id of a turn that is named by it, or by itself; raises ``InvalidArgumentError`` for anything else."""
    if isinstance(turn, Interaction):
        return turn.id
    if not isinstance(turn, str):
        raise InvalidArgumentError(f"A turn is named by its id, or given itself; found {type(turn).__name__}")
    return turn


def calls_in(interactions: Iterable[Interaction]) -> dict[str, bool]:
    """Return whether each tool call of some turns was answered, by its id."""
    calls: dict[str, bool] = {}
    for interaction in interactions:
        note_calls(calls, interaction)
    return calls


def note_calls(calls: dict[str, bool], interaction: Interaction) -> None:
    """Take a turn into what ``calls_in`` returned."""
    if interaction.tool_call_id is not None:
        calls[interaction.tool_call_id] = True
    for call in interaction.tool_calls:
        calls[call.id] = False
