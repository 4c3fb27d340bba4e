from conversation_compat import Conversation

memory = Conversation()
memory.add_interaction("a?", "b", ["doc-1"], {"topic": "rag"})
