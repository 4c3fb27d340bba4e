from conversation_compat import Conversation


def begin():
    memory = Conversation()
    memory.add_exchange("a?", "b")
    return memory
