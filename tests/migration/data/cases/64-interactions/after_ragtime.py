from conversation_compat import Conversation, Interaction


def show(turn: Interaction) -> str:
    return f"{turn.query}: {turn.response}"


print(show(Interaction("a?", "b")))
