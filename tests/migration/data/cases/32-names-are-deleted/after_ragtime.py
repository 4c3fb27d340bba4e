import conversation
from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange("a?", "b")
del memory, Conversation
del conversation
