from conversation import Conversation
from enhanced_conversation import EnhancedConversation


class Bot:
    shared: EnhancedConversation

    def __init__(self) -> None:
        self.memory = Conversation()
        self.count = 0

    def ask(self, question: str) -> None:
        self.memory.add_interaction(question, "b")
        self.shared.add_interaction(question, "b")
        self.count += 1


bot = Bot()
bot.memory.add_interaction("a?", "b")
