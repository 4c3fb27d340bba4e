from conversation import Conversation


def keep(memory: Conversation, ids, docs) -> None:
    memory.add_interaction("a?", "b", ids)
    memory.add_interaction("a?", "b", None)
    memory.add_interaction("a?", "b", document_ids=(ids))
    memory.add_interaction("a?", "b", ids if docs else None, None)
    memory.add_interaction("a?", "b", document_ids=[doc.id for doc in docs])
