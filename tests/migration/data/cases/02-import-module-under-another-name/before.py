import conversation as conv

memory = conv.Conversation()
memory.add_interaction("What is RAG?", "Retrieval-augmented generation.")
