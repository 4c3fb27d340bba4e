from .conversation import Conversation

memory = Conversation()
memory.add_interaction("a?", "b")
