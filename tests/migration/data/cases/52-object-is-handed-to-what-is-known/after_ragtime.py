from ragtime.services.conversation import Conversation
from ragtime.services.conversation import ConversationManager


def show(memory: Conversation, *, loud: bool = False) -> None:
    print(len(memory), loud)


memory = Conversation()
memory.add_exchange("a?", "b")
show(memory, loud=True)
show(loud=False, memory=memory)
print(memory, memory is None, f"{memory}")
ConversationManager().save_conversation(memory)
