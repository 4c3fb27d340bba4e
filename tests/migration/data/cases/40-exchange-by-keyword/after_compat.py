from conversation_compat import Conversation

memory = Conversation()
memory.add_interaction(query="a?", response="b", metadata={"topic": "rag"}, document_ids=["doc-1"])
memory.add_interaction(response="b", query="a?")
