from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange(query="a?", response="b", metadata={"topic": "rag"}, document_ids=["doc-1"])
memory.add_exchange(response="b", query="a?")
