from conversation import Conversation


def ask(question: str) -> int:
    conversation = Conversation()
    conversation.add_interaction(question, "b")
    prompts = [question]
    template = prompts[0]
    return len(conversation) + len(template)
