from typing import Optional

import ragtime.services.conversation as conversation
from ragtime.services.conversation import Conversation


def first(memory: "Conversation") -> None:
    memory.add_exchange("a?", "b")


def second(memory: Optional[Conversation], other: Conversation | None = None) -> None:
    memory.add_exchange("a?", "b")
    other.add_exchange("a?", "b")


def third(memories: list[Conversation]) -> None:
    for memory in memories:
        memory.add_exchange("a?", "b")
    memories[0].add_exchange("a?", "b")


def fourth(memory: conversation.Conversation) -> None:
    memory.add_exchange("a?", "b")


chosen: Conversation = first(None)
chosen.add_exchange("a?", "b")
