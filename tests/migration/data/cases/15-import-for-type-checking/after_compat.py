from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conversation_compat import Conversation


def ask(memory: Conversation, question: str) -> None:
    memory.add_interaction(question, "b")
