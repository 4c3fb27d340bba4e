"""Conversations: what was said, found again.

``Conversation`` holds turns in memory; ``EnhancedConversation`` recalls, summarises and answers;
``ConversationManager`` keeps them all.
"""

from ragtime.records.conversation import Feedback, ImagePart, Interaction, TextPart, ToolCall
from ragtime.services.conversation.context import Context, ContextPart
from ragtime.services.conversation.conversation import Conversation
from ragtime.services.conversation.embedder import ConversationEmbedder
from ragtime.services.conversation.enhanced import EnhancedConversation
from ragtime.services.conversation.manager import ConversationManager, ForgetReceipt, ManagerStatistics
from ragtime.services.conversation.recall import Recall, RecalledTurn
from ragtime.services.conversation.summaries import ConversationSummarizer, Summary, SummarySentence
from ragtime.services.conversation.turn_reader import Branch, FoundTurn
from ragtime.services.conversation.user_search import FoundInConversation
from ragtime.services.conversation.window import Window

__all__ = [
    "Branch",
    "Context",
    "ContextPart",
    "Conversation",
    "ConversationEmbedder",
    "ConversationManager",
    "ConversationSummarizer",
    "EnhancedConversation",
    "Feedback",
    "ForgetReceipt",
    "FoundInConversation",
    "FoundTurn",
    "ImagePart",
    "Interaction",
    "ManagerStatistics",
    "Recall",
    "RecalledTurn",
    "Summary",
    "SummarySentence",
    "TextPart",
    "ToolCall",
    "Window",
]
