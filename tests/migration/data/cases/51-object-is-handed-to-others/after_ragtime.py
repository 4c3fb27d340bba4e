from conversation_compat import Conversation
from elsewhere import show

memory = Conversation()
memory.add_exchange("a?", "b")
show(memory)
