from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange("What is RAG?", "Retrieval-augmented generation.")
