import conversation_compat as conversation
from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange("a?", "b")
print(conversation)
