from typing import Optional

import conversation
from conversation import Conversation


def first(memory: "Conversation") -> None:
    memory.add_interaction("a?", "b")


def second(memory: Optional[Conversation], other: Conversation | None = None) -> None:
    memory.add_interaction("a?", "b")
    other.add_interaction("a?", "b")


def third(memories: list[Conversation]) -> None:
    for memory in memories:
        memory.add_interaction("a?", "b")
    memories[0].add_interaction("a?", "b")


def fourth(memory: conversation.Conversation) -> None:
    memory.add_interaction("a?", "b")


chosen: Conversation = first(None)
chosen.add_interaction("a?", "b")
