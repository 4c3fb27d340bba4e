from conversation import Conversation

memory = Conversation()
memory.add_interaction(
    "a?",  # the question
    "b",
    # what it drew on
    [
        "doc-1",
    ],
    metadata={"topic": "rag"},  # and about what
)
