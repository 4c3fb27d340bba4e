from . import conversation, helpers
from . import conversation as talks  # ours

helpers.show(conversation.Conversation(), talks.Conversation())
