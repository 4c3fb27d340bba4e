from conversation_compat import Conversation

memories = list(map(Conversation.from_dict, [{}]))
