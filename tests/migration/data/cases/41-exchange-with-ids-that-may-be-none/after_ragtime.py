from ragtime.services.conversation import Conversation


def keep(memory: Conversation, ids, docs) -> None:
    memory.add_exchange("a?", "b", document_ids=ids or ())
    memory.add_exchange("a?", "b", document_ids=())
    memory.add_exchange("a?", "b", document_ids=(ids) or ())
    memory.add_exchange("a?", "b", document_ids=(ids if docs else None) or (), metadata=None)
    memory.add_exchange("a?", "b", document_ids=[doc.id for doc in docs])
