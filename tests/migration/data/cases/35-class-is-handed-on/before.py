from collections import defaultdict

from conversation import Conversation

memories = defaultdict(Conversation)
memories["a"].add_interaction("a?", "b")
