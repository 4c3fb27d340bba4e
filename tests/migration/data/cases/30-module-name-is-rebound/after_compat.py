import conversation_compat as conversation

conversation = conversation.Conversation()
conversation.add_interaction("a?", "b")
