"""The plain data that travels between the parts of ragtime: frozen records without any input or output of their own."""

from ragtime.records.base import Record
from ragtime.records.conversation import ConversationHead, Feedback, Fork, ImagePart, Interaction, TextPart, ToolCall
from ragtime.records.retrieval import Document, RetrievalSet

__all__ = [
    "ConversationHead",
    "Document",
    "Feedback",
    "Fork",
    "ImagePart",
    "Interaction",
    "Record",
    "RetrievalSet",
    "TextPart",
    "ToolCall",
]
