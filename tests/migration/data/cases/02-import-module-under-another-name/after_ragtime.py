import ragtime.services.conversation as conv

memory = conv.Conversation()
memory.add_exchange("What is RAG?", "Retrieval-augmented generation.")
