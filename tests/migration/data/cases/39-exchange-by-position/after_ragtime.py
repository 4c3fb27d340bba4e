from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange("a?", "b", document_ids=["doc-1"], metadata={"topic": "rag"})
