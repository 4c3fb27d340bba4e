import json, conversation, os  # all we need

print(json.dumps(conversation.Conversation().to_dict()), os.name)
