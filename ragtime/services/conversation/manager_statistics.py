"""How much a user has said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import ConversationStore
from ragtime.services.conversation.transfer import conversation_ids

__all__ = ["ManagerStatistics", "count_turns"]

_log = get_logger(__name__)


@dataclass(frozen=True)
class ManagerStatistics:
    """How much there is.

    Attributes:
        conversations: Conversations of the user.
        turns: Turns stored in them, of all branches.
        by_role: Turns by role.
        rated: Turns with feedback.
    """

    conversations: int
    turns: int
    by_role: Mapping[str, int]
    rated: int


def count_turns(store: ConversationStore, user_id: str | None) -> ManagerStatistics:
    """Count conversations and turns of a user, holding some hundred at a time.

    Args:
        store: Where they rest.
        user_id: Whose.

    Returns:
        The counts.
    """
    roles: Counter[str] = Counter()
    rated = 0
    with log_operation(_log, "conversation_statistics") as operation:
        for _, _, turn in store.changes(user_id):
            roles[turn.interaction.role] += 1
            rated += bool(turn.interaction.feedback)
        conversations = sum(1 for _ in conversation_ids(store, user_id))
        operation.add(conversations=conversations, turns=roles.total())
    return ManagerStatistics(conversations, roles.total(), dict(sorted(roles.items())), rated)
