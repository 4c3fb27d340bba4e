"""The packaged sample: passages of a made-up product, judged questions, conversations and ratings about them."""

from ragtime.data.sample import (
    sample_conversations,
    sample_documents,
    sample_feedback,
    sample_path,
    sample_retrieval_set,
)

__all__ = ["sample_conversations", "sample_documents", "sample_feedback", "sample_path", "sample_retrieval_set"]
