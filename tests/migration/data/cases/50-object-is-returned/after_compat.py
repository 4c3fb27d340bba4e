from conversation_compat import Conversation


def begin():
    memory = Conversation()
    memory.add_interaction("a?", "b")
    return memory
