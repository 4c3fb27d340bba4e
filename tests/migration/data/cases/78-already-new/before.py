from ragtime.services.conversation import Conversation, ConversationManager

memory = Conversation()
memory.add_interaction("user", "a?")
memory.add_exchange("a?", "b")
print([turn.content for turn in ConversationManager().get_conversation("x").get_interactions()])
