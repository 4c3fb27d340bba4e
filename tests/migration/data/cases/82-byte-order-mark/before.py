from conversation import Conversation

memory = Conversation()
memory.add_interaction("ä?", "ö", ids)  # ü
