import conversation_compat as conversation
from conversation_compat import Interaction
from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange("a?", "b")
print(conversation.Interaction, Interaction)
