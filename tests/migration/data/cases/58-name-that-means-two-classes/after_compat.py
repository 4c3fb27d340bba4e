try:
    from conversation_compat import Conversation
except ImportError:
    from stand_in import Conversation

memory = Conversation()
memory.add_interaction("a?", "b")
