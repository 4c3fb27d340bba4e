from collections import defaultdict

from conversation_compat import Conversation

memories = defaultdict(Conversation)
memories["a"].add_interaction("a?", "b")
