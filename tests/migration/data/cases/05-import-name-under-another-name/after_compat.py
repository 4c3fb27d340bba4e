from conversation_compat import Conversation as Memory

memory = Memory()
memory.add_interaction("What is RAG?", "Retrieval-augmented generation.")
