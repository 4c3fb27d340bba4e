import conversation
from conversation_compat import Conversation

memory = Conversation()
memory.add_interaction("a?", "b")
del memory, Conversation
del conversation
