from conversation import Conversation

memories = list(map(Conversation.from_dict, [{}]))
