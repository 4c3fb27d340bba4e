def ask(question: str) -> None:
    from conversation import Conversation

    memory = Conversation()
    memory.add_interaction(question, "b")
