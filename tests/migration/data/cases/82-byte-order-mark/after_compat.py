from conversation_compat import Conversation

memory = Conversation()
memory.add_interaction("ä?", "ö", ids)  # ü
