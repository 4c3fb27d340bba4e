import importlib

import conversation

importlib.reload(conversation)
memory = conversation.Conversation()
