def ask(question: str) -> None:
    from ragtime.services.conversation import Conversation

    memory = Conversation()
    memory.add_exchange(question, "b")
