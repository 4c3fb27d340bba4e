def forget(session):
    from conversation import Conversation, clear_conversation_in_session  # only here

    clear_conversation_in_session(session)
    memory = Conversation()
    memory.add_interaction("a?", "b")
