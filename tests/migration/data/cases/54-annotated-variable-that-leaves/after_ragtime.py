from conversation_compat import Conversation


class Bot:
    def __init__(self) -> None:
        self.memory: Conversation = Conversation()

    def give(self) -> Conversation:
        return self.memory
