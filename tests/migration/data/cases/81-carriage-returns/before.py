from conversation import (
    Conversation,
    Interaction,
)
memory = Conversation()
memory.add_interaction("a?", """b
c""")
print(Interaction)
