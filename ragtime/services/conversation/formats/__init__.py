"""Conversations in the formats of others: OpenAI chat, Anthropic, ShareGPT, `messages` of Hugging Face data sets."""

from ragtime.services.conversation.formats.registry import FORMATS, Format, export_messages, import_messages

__all__ = ["FORMATS", "Format", "export_messages", "import_messages"]
