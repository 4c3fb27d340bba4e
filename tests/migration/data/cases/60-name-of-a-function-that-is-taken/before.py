from conversation import Conversation
from conversation_summarizer import ConversationSummarizer

str = repr
print(ConversationSummarizer().summarize(Conversation(), 10))
