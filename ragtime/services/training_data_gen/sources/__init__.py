"""What training data is made of: documents, conversations, queries, ratings, and examples that exist already."""

from ragtime.services.training_data_gen.sources.items import (
    BadRecord,
    FeedbackRecord,
    JudgedQuery,
    SourceConversation,
    Sources,
)

__all__ = ["BadRecord", "FeedbackRecord", "JudgedQuery", "SourceConversation", "Sources"]
