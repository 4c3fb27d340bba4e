from conversation_compat import Conversation


class Bot:
    def __init__(self) -> None:
        self.memory = Conversation()

    def ask(self, question: str) -> None:
        self.memory.add_interaction(question, "b")


def lend(bot, memory) -> None:
    bot.memory = memory
