from typing import cast

from conversation_compat import Conversation


def count(memory: Conversation, depth: int = 0, *, more: Conversation | None = None) -> int:
    if depth:
        return count(memory, depth - 1)
    return len(memory)


def ask(question: str, given: Conversation | None = None) -> int:
    memory = given or Conversation()
    other = given if given else Conversation()
    if (third := Conversation()) is not None:
        third.add_interaction(question, "b")
    cast(Conversation, other).add_interaction(question, "b")
    while not memory:
        del memory
    return count(other, 1) + count(memory=memory, more=third) + (1 if memory else 2)
