"""Summaries of conversations: views with the turns behind every sentence, never in the place of the turns."""

from ragtime.services.conversation.summaries.summarizer import ConversationSummarizer
from ragtime.services.conversation.summaries.summary import (
    Beginning,
    Centrality,
    FirstTurns,
    Strategy,
    Summary,
    SummarySentence,
)

__all__ = [
    "Beginning",
    "Centrality",
    "ConversationSummarizer",
    "FirstTurns",
    "Strategy",
    "Summary",
    "SummarySentence",
]
