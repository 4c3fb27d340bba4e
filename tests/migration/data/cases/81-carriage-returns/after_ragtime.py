from conversation_compat import (
    Interaction,
)
from ragtime.services.conversation import Conversation
memory = Conversation()
memory.add_exchange("a?", """b
c""")
print(Interaction)
