from conversation import Conversation, clear_conversation_in_session  # noqa: E402

clear_conversation_in_session({})
memory = Conversation()
memory.add_interaction("a?", "b")
