from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragtime.services.conversation import Conversation


def ask(memory: Conversation, question: str) -> None:
    memory.add_exchange(question, "b")
