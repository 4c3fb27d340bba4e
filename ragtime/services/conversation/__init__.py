"""Conversations: what was said, found again."""

from ragtime.records.conversation import Feedback, ImagePart, Interaction, TextPart, ToolCall
from ragtime.services.conversation.conversation import Branch, Conversation, FoundTurn
from ragtime.services.conversation.embedder import ConversationEmbedder
from ragtime.services.conversation.summaries import ConversationSummarizer, Summary, SummarySentence
from ragtime.services.conversation.window import Window

__all__ = [
    "Branch",
    "Conversation",
    "ConversationEmbedder",
    "ConversationSummarizer",
    "Feedback",
    "FoundTurn",
    "ImagePart",
    "Interaction",
    "Summary",
    "SummarySentence",
    "TextPart",
    "ToolCall",
    "Window",
]
