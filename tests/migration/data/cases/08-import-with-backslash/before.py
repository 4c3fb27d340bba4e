from conversation import Conversation, \
    get_conversation_from_session

memory = Conversation()
memory.add_interaction("a?", "b")
get_conversation_from_session({}).clear()
