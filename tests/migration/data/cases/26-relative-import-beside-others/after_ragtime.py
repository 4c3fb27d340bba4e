from . import helpers
import conversation_compat as conversation
import conversation_compat as talks  # ours

helpers.show(conversation.Conversation(), talks.Conversation())
