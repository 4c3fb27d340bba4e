from dataclasses import dataclass


@dataclass
class Interaction:
    query: str
    response: str


class Conversation:
    pass


def get_conversation_from_session(session):
    return Conversation()


def update_conversation_in_session(session, conversation):
    pass


def clear_conversation_in_session(session):
    pass
