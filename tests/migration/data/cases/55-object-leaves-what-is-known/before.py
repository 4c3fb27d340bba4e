from conversation import Conversation
from elsewhere import keep


def show(memory: Conversation) -> None:
    print(memory)
    keep(memory)


show(Conversation())
