from conversation_compat import Conversation

memories = {}


def ask(user: str, question: str) -> None:
    if user not in memories:
        memories[user] = Conversation()
    memories[user].add_interaction(question, "b")
