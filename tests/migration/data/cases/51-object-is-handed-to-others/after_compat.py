from conversation_compat import Conversation
from elsewhere import show

memory = Conversation()
memory.add_interaction("a?", "b")
show(memory)
