from conversation import Conversation

memory = Conversation()
for number, turn in enumerate(memory.history):
    print(number, turn.query, turn.response)
if memory.get_history():
    last = memory.history[-1]
    print(last.timestamp, [one.document_ids for one in reversed(memory.history)])
print(len(memory.get_last_n_interactions(2)))
