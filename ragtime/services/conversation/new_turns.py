"""What a turn must be to come after others."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ragtime.errors import InvalidArgumentError
from ragtime.records.conversation import Interaction, StoredTurn
from ragtime.services.conversation.tree import TurnTree, calls_in, note_calls

__all__ = ["new_turns"]


def new_turns(
    tree: TurnTree, interactions: Sequence[Interaction], parent: str | None, *, latest: datetime
) -> list[StoredTurn]:
    """Check turns that are to be added, and give each its place.

    Args:
        tree: The turns there are; nothing is added to it.
        interactions: The turns, each to follow the one before.
        parent: The turn that the first one is to follow; ``None`` when it begins a branch.
        latest: The latest time that a turn may have.

    Returns:
        The turns with their parents.

    Raises:
        InvalidArgumentError: One is no turn, lies in the future, has an id that is taken, or answers a tool call that
            its branch does not have or that was answered.
    """
    branch = tree.calls if parent == tree.tip else None
    fresh: dict[str, bool] = {}  # calls of these turns; those of a long branch are not copied
    placed: list[StoredTurn] = []
    taken: set[str] = set()
    for number, interaction in enumerate(interactions, start=1):
        which = f"turn {number}: " if len(interactions) > 1 else ""
        if not isinstance(interaction, Interaction):
            raise InvalidArgumentError(f"{which}a turn is an Interaction, found {type(interaction).__name__}")
        if interaction.created_at > latest:
            time = interaction.created_at.isoformat()
            raise InvalidArgumentError(f"{which}a turn cannot lie in the future: {time}")
        if interaction.id in tree or interaction.id in taken:
            raise InvalidArgumentError(f"{which}there is a turn with the id {interaction.id[:100]!r} already")
        taken.add(interaction.id)
        call = interaction.tool_call_id
        if call is not None:
            if branch is None:
                branch = calls_in(turn.interaction for turn in tree.branch(parent)) if parent is not None else {}
            answered = fresh.get(call, branch.get(call))
            if answered is not False:
                why = "is no call of this conversation" if answered is None else "was answered already"
                raise InvalidArgumentError(f"{which}the tool call {call[:100]!r} {why}")
        note_calls(fresh, interaction)
        placed.append(StoredTurn(interaction=interaction, parent_id=parent))
        parent = interaction.id
    return placed
