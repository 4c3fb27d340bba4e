from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange(
    "a?",  # the question
    "b",
    # what it drew on
    document_ids=[
        "doc-1",
    ],
    metadata={"topic": "rag"},  # and about what
)
