from conversation import Conversation


def other(Conversation):
    made = Conversation()
    made.add_interaction("a?", "b")


def ours() -> None:
    made = Conversation()
    made.add_interaction("a?", "b")
