from conversation_compat import Interaction
from ragtime.services.conversation import Conversation
print(Interaction)
Conversation().add_exchange("a?", "b")