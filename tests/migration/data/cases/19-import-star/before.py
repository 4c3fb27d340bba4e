from conversation import *

memory = Conversation()
