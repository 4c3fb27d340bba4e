from functools import cached_property

from conversation import Conversation


class Base:
    memory: Conversation

    @property
    def own(self) -> Conversation:
        return self.memory

    @cached_property
    def guessed(self):
        return self.memory

    @classmethod
    def make(cls, memory: Conversation):
        made = cls()
        made.memory = memory
        return made

    @staticmethod
    def show(self):
        return self.history


class Bot(Base):
    def ask(self, question: str) -> None:
        self.memory.add_interaction(question, "b")
        self.own.add_interaction(question, "b")
        self.guessed.add_interaction(question, "b")
        Bot.make(self.memory).memory.add_interaction(question, "b")
        self.elsewhere.add_interaction(question, "b")


class Memory(Conversation):
    pass


class Deep(Memory):
    history = ()

    def show(self) -> None:
        print(self.history, super().get_summary())


Deep.from_dict({}).clear()
