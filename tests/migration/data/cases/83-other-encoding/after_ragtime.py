# coding: latin-1
from ragtime.services.conversation import Conversation

memory = Conversation()
memory.add_exchange("ä?", "ö", document_ids=ids or ())  # ü
