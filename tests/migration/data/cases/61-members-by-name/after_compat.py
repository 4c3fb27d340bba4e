from conversation_compat import Conversation


def show(memory: Conversation, other) -> None:
    if hasattr(memory, "history") and hasattr(memory, "get_interactions"):
        print(getattr(memory, "get_summary")(), getattr(other, "get_most_relevant_content", None))
