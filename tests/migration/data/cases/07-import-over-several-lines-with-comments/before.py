from conversation import (  # the memory
    Conversation,  # a dialogue
    # sessions of the web application
    get_conversation_from_session,
)  # end of it

memory = Conversation()
print(get_conversation_from_session({}))
