from ragtime.services.conversation import Conversation


def ask(question: str) -> int:
    conversation = Conversation()
    conversation.add_exchange(question, "b")
    prompts = [question]
    template = prompts[0]
    return len(conversation) + len(template)
