import conversation

conversation = conversation.Conversation()
conversation.add_interaction("a?", "b")
