try:
    from ragtime.services.conversation import Conversation
except ImportError:
    Conversation = None

if Conversation is not None:
    memory = Conversation()
    memory.add_exchange("a?", "b")
