from conversation_compat import clear_conversation_in_session  # noqa: E402
from ragtime.services.conversation import Conversation  # noqa: E402

clear_conversation_in_session({})
memory = Conversation()
memory.add_exchange("a?", "b")
