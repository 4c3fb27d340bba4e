from conversation_compat import Conversation

memory = Conversation()
memory.add_interaction("user", "a?")
memory.add_interaction("a?", "b")
memory.add_interaction(role="assistant", content="b")
for role, content in [("user", "a?")]:
    memory.add_interaction(role, content)
question = input()
memory.add_interaction(question, "b")
memory.add_interaction(query=question, response="b")
memory.add_interaction(question, "b", [])
