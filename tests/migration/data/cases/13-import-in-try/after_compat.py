try:
    from conversation_compat import Conversation
except ImportError:
    Conversation = None

if Conversation is not None:
    memory = Conversation()
    memory.add_interaction("a?", "b")
