import importlib

import conversation_compat as conversation

importlib.reload(conversation)
memory = conversation.Conversation()
