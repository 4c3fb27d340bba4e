from ragtime.services.conversation import Conversation as Memory

memory = Memory()
memory.add_exchange("What is RAG?", "Retrieval-augmented generation.")
