import os; from conversation import Conversation, clear_conversation_in_session

memory = Conversation()
memory.add_interaction("a?", os.name)
clear_conversation_in_session({})
