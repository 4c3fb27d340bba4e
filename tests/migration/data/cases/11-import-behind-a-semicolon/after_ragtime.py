import os; from conversation_compat import clear_conversation_in_session; from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange("a?", os.name)
clear_conversation_in_session({})
