"""Conversations as training data: what was asked, what the answer drew on, and how it was rated."""

from ragtime.services.training_data_gen.strategies.conversation_based.follow_ups import complete_follow_up, is_follow_up
from ragtime.services.training_data_gen.strategies.conversation_based.strategy import ConversationBased

__all__ = ["ConversationBased", "complete_follow_up", "is_follow_up"]
