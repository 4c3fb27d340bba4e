from conversation_compat import Conversation

memory = Conversation()
pairs = [("a?", "b")]
memory.add_interaction(*pairs[0])
memory.add_interaction("a?", response="b", **{})
memory.add_interaction("a?", "")
done = memory.add_interaction("a?", "b")
memory.add_interaction("a?", "b", ids=[])
