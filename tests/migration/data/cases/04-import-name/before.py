from conversation import Conversation

memory = Conversation()
memory.add_interaction("What is RAG?", "Retrieval-augmented generation.")
