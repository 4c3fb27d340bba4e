def ask(question: str) -> None:
    from conversation_compat import Conversation

    memory = Conversation()
    memory.add_interaction(question, "b")
