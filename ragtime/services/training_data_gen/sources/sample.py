"""The packaged sample as a source of every kind."""

from __future__ import annotations

from collections.abc import Iterator

from ragtime.config.settings import Settings
from ragtime.data.sample import sample_conversations, sample_documents, sample_feedback, sample_retrieval_set
from ragtime.records.training import Lineage
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.services.training_data_gen.sources.conversations import conversation_reader
from ragtime.services.training_data_gen.sources.documents import document_reader
from ragtime.services.training_data_gen.sources.examples import example_reader
from ragtime.services.training_data_gen.sources.feedback import feedback_reader
from ragtime.services.training_data_gen.sources.items import Sources
from ragtime.services.training_data_gen.sources.queries import query_reader

__all__ = ["SAMPLE_NAME", "sample_sources"]

SAMPLE_NAME = "ragtime sample"
"""What the packaged sample is called in logs."""


def sample_sources(settings: Settings) -> Sources:
    """Return the packaged sample, without the questions that are reserved for evaluation.

    Its examples are its judged questions, each with the passages of its best grade.

    Args:
        settings: Tells how long a passage may be.

    Returns:
        Sources of every kind.

    Raises:
        StorageError: The package is imported from an archive, or its files are damaged.
    """
    return Sources(
        documents=document_reader(sample_documents(), settings),
        conversations=conversation_reader(list(sample_conversations()), turns_field="turns"),
        queries=query_reader(sample_retrieval_set(reserved=False), split="train"),
        feedback=feedback_reader(sample_feedback(), rating_field="rating", rating_scale=(1, 5)),
        examples=example_reader(list(_examples())),
        origin="sample",
    )


def _examples() -> Iterator[TrainingExample]:
    judged = sample_retrieval_set(reserved=False)
    for query_id, query in judged.judged_queries.items():
        grades = judged.relevant(query_id)
        best = max(grades.values())
        for document_id in sorted(key for key, grade in grades.items() if grade == best):
            yield TrainingExample(
                query=query,
                response=judged.corpus[document_id].content,
                lineage=Lineage(source="examples", query_id=query_id, document_ids=(document_id,)),
            )
