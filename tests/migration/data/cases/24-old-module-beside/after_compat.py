import conversation_compat as conversation
from conversation_compat import Conversation

memory = Conversation()
memory.add_interaction("a?", "b")
print(conversation)
