from conversation_compat import Conversation


class Bot:
    def __init__(self) -> None:
        self.memory = Conversation()


def clear(bot) -> None:
    bot.memory.clear()
