from conversation_compat import Conversation
from conversation_summarizer_compat import ConversationSummarizer

summarizer = ConversationSummarizer()
memory = Conversation()
short = str(summarizer.summarize(memory, max_tokens=100))
longer = str(summarizer.summarize(memory, max_tokens=500))
print(str(summarizer.summarize(memory, max_tokens=40)), summarizer.summarize(other, 40), short, longer)
