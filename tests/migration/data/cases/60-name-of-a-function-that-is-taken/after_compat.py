from conversation_compat import Conversation
from conversation_summarizer_compat import ConversationSummarizer

str = repr
print(ConversationSummarizer().summarize(Conversation(), 10))
