from ragtime.services.conversation import Conversation
from ragtime.services.conversation import EnhancedConversation


class Bot:
    shared: EnhancedConversation

    def __init__(self) -> None:
        self.memory = Conversation()
        self.count = 0

    def ask(self, question: str) -> None:
        self.memory.add_exchange(question, "b")
        self.shared.add_exchange(question, "b")
        self.count += 1


bot = Bot()
bot.memory.add_exchange("a?", "b")
