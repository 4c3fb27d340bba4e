from conversation_compat import Conversation
from somewhere import Other

memory = Other()
if memory.is_old:
    memory = Conversation()
memory.add_interaction("a?", "b")
