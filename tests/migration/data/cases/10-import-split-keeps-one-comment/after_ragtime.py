def forget(session):
    from conversation_compat import clear_conversation_in_session  # only here
    from ragtime.services.conversation import Conversation

    clear_conversation_in_session(session)
    memory = Conversation()
    memory.add_exchange("a?", "b")
