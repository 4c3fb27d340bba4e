from conversation_compat import (
    Conversation,
    Interaction,
    get_conversation_from_session,
)


def show(session: dict) -> Interaction | None:
    memory: Conversation = get_conversation_from_session(session)
    return memory.get_last_interaction()
