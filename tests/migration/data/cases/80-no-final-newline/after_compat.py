from conversation_compat import Conversation, Interaction
print(Interaction)
Conversation().add_interaction("a?", "b")