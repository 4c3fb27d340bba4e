try:
    from conversation import Conversation
except ImportError:
    Conversation = None

if Conversation is not None:
    memory = Conversation()
    memory.add_interaction("a?", "b")
