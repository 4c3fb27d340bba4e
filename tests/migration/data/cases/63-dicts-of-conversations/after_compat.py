import json

from conversation_compat import Conversation

memory = Conversation.from_dict(json.loads("{}"))
data = memory.to_dict()
print(data["history"])
