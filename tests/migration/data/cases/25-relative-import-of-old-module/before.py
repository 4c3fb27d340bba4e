from . import conversation
from .conversation import Conversation, Interaction

memory = Conversation()
memory.add_interaction("a?", "b")
print(conversation.Interaction, Interaction)
