import conversation

memory = conversation.Conversation()
memory.add_interaction("What is RAG?", "Retrieval-augmented generation.")
