from conversation_compat import Conversation, get_conversation_from_session, update_conversation_in_session


def begin():
    return Conversation.from_dict({})


def load() -> Conversation:
    return begin()


def ask(session, question):
    memory = get_conversation_from_session(session)
    memory.add_interaction(question, "b")
    update_conversation_in_session(session, memory)
    begin().add_interaction(question, "b")
    load().add_interaction(question, "b")
