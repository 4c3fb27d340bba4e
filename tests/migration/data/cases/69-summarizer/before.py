from conversation import Conversation
from conversation_summarizer import ConversationSummarizer

summarizer = ConversationSummarizer()
memory = Conversation()
short = summarizer.summarize(memory, 100)
longer = summarizer.summarize(memory)
print(str(summarizer.summarize(memory, max_tokens=40)), summarizer.summarize(other, 40), short, longer)
