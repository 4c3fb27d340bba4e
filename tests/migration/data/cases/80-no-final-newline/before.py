from conversation import Conversation, Interaction
print(Interaction)
Conversation().add_interaction("a?", "b")