from conversation import Conversation


def ask(memory, other: "Something") -> None:
    memory.add_interaction("a?", "b")
    memory.clear()
    if other.history:
        print(other.get_last_n_interactions(2), memory.conversation.history)
    other.clear()


print(isinstance(ask, Conversation))
