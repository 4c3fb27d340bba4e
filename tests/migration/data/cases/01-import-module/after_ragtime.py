import ragtime.services.conversation as conversation

memory = conversation.Conversation()
memory.add_exchange("What is RAG?", "Retrieval-augmented generation.")
