"""Deprecated: the old module ``training_data_generator``; use ``ragtime.services.training_data_gen``.

The old calls work as they did, on pairs of rated answers; the class is also the new one, so that its calls can be taken
over one by one. This module goes in ragtime 2.0.0; ``ragtime migrate`` rewrites its users.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, overload

from ragtime.config.settings import Settings
from ragtime.migration.deprecation import deprecated_class, deprecated_function
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import DecisionLog, TextEncoder, TextGenerator
from ragtime.records.conversation import now
from ragtime.services import training_data_gen
from ragtime.services.training_data_gen import ExportReport, GenerationMetrics, SourceOptions, TrainingExample
from ragtime_compat.plain_numbers import plain_number
from ragtime_compat.training_feedback import (
    DocumentStore,
    FeedbackClient,
    LoggedFeedback,
    StoredDocuments,
    document_ids_of,
)
from ragtime_compat.training_files import write_pairs
from ragtime_compat.training_pairs import TrainingPair
from ragtime_compat.training_rated import RatedAnswers

__all__ = [
    "GenerationMetrics",
    "TrainingDataGenerator",
    "TrainingExample",
    "TrainingPair",
    "create_training_data_generator",
]

_log = get_logger(f"ragtime.{__name__}")

_ONLY_NEW_GENERATE = frozenset({"count", "strategy", "validation"})
_ONLY_NEW_EXPORT = frozenset({"examples", "path", "format", "shape", "safe_for_spreadsheets"})


@deprecated_class("training_data_generator")
class TrainingDataGenerator(training_data_gen.TrainingDataGenerator, RatedAnswers):
    """Deprecated: ``ragtime.services.training_data_gen.TrainingDataGenerator`` takes its place.

    Ratings come from a client of the decision log, and the texts of the documents from a store such as a Chroma
    collection. The calls of the new class, such as ``generate_examples``, read the same two, unless other sources are
    given by keyword; changing the attributes later changes the old calls alone.

    Attributes:
        conport_client: Finds the ratings; ``None`` for none.
        workspace_id: The workspace that it is asked for; ``None`` for none.
        chroma_db: Holds the documents; ``None`` for none.
        embedding_model: Kept for its readers; pairs are found without a model.
        positive_rating_threshold: From which rating an answer is good.
        negative_rating_threshold: Up to which rating it is bad.
        hard_negative_similarity_threshold: From which share of common words two queries are alike, 0 to 1.
        min_query_length: Fewest words of a query.
        max_pairs_per_query: Most pairs of one rated answer.
        document_cache: The texts of the documents that were read, by id.
    """

    def __init__(  # noqa: PLR0913 - the old arguments, and those of the new class by keyword
        self,
        conport_client: FeedbackClient | None = None,
        workspace_id: str | None = None,
        chroma_db: DocumentStore | None = None,
        embedding_model: object = None,
        *,
        settings: Settings | None = None,
        documents: Any = None,
        conversations: Any = None,
        queries: Any = None,
        feedback: Any = None,
        examples: Any = None,
        encoder: TextEncoder | None = None,
        generator: TextGenerator | None = None,
        decision_log: DecisionLog | None = None,
        source_options: SourceOptions | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Take the sources; nothing is read yet.

        Args:
            conport_client: Finds the ratings, with ``search_custom_data_value_fts(dict)``; ``None`` means that there
                are none.
            workspace_id: The workspace that it is asked for; without one there are no ratings.
            chroma_db: Holds the documents, with ``get(ids=...)``; ``None`` means that there are none.
            embedding_model: Not used; kept as an attribute.
            settings: As for the new class, like all that follow but the last.
            documents: As for the new class; ``None`` means `chroma_db`.
            conversations: As for the new class.
            queries: As for the new class.
            feedback: As for the new class; ``None`` means what `conport_client` finds.
            examples: As for the new class.
            encoder: As for the new class.
            generator: As for the new class.
            decision_log: As for the new class.
            source_options: As for the new class.
            clock: Returns the time, with a time zone, from which ages are counted and by which files are named.

        Raises:
            InvalidArgumentError: An argument of the new class is not what it should be.
        """
        if documents is None and chroma_db is not None and _is_store(chroma_db):
            documents = StoredDocuments(chroma_db)
        if feedback is None and conport_client is not None and workspace_id:
            feedback = LoggedFeedback(conport_client, workspace_id)
        RatedAnswers.__init__(self, conport_client, workspace_id, chroma_db, embedding_model, clock)
        super().__init__(
            settings,
            documents=documents,
            conversations=conversations,
            queries=queries,
            feedback=feedback,
            examples=examples,
            encoder=encoder,
            generator=generator,
            decision_log=decision_log,
            source_options=source_options,
        )

    def _export_pairs(
        self,
        pairs: Sequence[TrainingPair],
        output_format: str = "sentence_transformers",
        output_path: str | Path = "./training_data",
    ) -> dict[str, Any]:
        try:
            return write_pairs(pairs, output_format, output_path, self._local_time())
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is told in the result, as it always was
            _log.error("The pairs cannot be exported", format=output_format, error=type(error).__name__)
            return {"success": False, "error": str(error) or type(error).__name__}

    @overload  # type: ignore[override]  # the old call has the name, too
    def export_training_data(
        self, pairs: Sequence[TrainingPair], output_format: str = ..., output_path: str | Path = ...
    ) -> dict[str, Any]: ...
    @overload
    def export_training_data(
        self,
        examples: Iterable[TrainingExample],
        *,
        path: str | Path,
        format: str | None = ...,
        shape: str = ...,
        safe_for_spreadsheets: bool = ...,
    ) -> ExportReport: ...
    @overload
    def export_training_data(
        self,
        examples: Iterable[TrainingExample],
        path: str | Path,
        /,
        *,
        shape: str,
        format: str | None = ...,
        safe_for_spreadsheets: bool = ...,
    ) -> ExportReport: ...
    @overload
    def export_training_data(
        self,
        examples: Iterable[TrainingExample],
        path: str | Path,
        /,
        *,
        format: str | None,
        safe_for_spreadsheets: bool = ...,
    ) -> ExportReport: ...
    @overload
    def export_training_data(
        self, examples: Iterable[TrainingExample], path: str | Path, /, *, safe_for_spreadsheets: bool
    ) -> ExportReport: ...
    @functools.wraps(_export_pairs, assigned=())
    def export_training_data(self, *args: Any, **kwargs: Any) -> dict[str, Any] | ExportReport:
        """Write pairs to files of the old formats, or examples to a file as the new class does.

        Any keyword that only the new call has (``examples``, ``path``, ``format``, ``shape``,
        ``safe_for_spreadsheets``) means that one; everything else means the old one.

        Args:
            *args: ``pairs``, ``output_format`` (``sentence_transformers``, ``triplets`` or ``json``) and
                ``output_path``, a folder; or what the new call takes.
            **kwargs: The same by name.

        Returns:
            ``success``, ``files``, ``format``, and ``total_pairs`` or ``total_triplets``; when that failed,
            ``success`` and ``error``. Of the new call, its report.
        """
        if _ONLY_NEW_EXPORT.isdisjoint(kwargs):
            return self._export_pairs(*args, **kwargs)
        return super().export_training_data(*args, **kwargs)

    def _generate_files(
        self,
        days_back: float = 90,
        include_hard_negatives: bool = True,  # noqa: FBT001, FBT002 - the old order
        output_format: str = "sentence_transformers",
        output_path: str | Path = "./training_data",
    ) -> dict[str, Any]:
        try:
            feedback = self.get_feedback_data(days_back)
            if not feedback:
                return _failed("No feedback data available", "data_retrieval")
            positives = self.generate_positive_pairs(feedback)
            negatives = self.generate_negative_pairs(feedback)
            hard = self.generate_hard_negative_pairs(positives, feedback) if include_hard_negatives else []
            # Bad answers to the very query of a positive are among the negatives already.
            known = {(pair.query, pair.document) for pair in negatives}
            hard = [pair for pair in hard if (pair.query, pair.document) not in known]
            pairs = [*positives, *negatives, *hard]
            if not pairs:
                _log.warning(
                    "No pairs can be made of the feedback",
                    entries=len(feedback),
                    without_documents=sum(not document_ids_of(entry) for entry in feedback),
                )
                return _failed("No training pairs generated", "pair_generation")
            validation = self.validate_training_data(pairs)
            export = self.export_training_data(pairs, output_format, output_path)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong is told in the result, as it always was
            _log.error("Training data cannot be generated", error=type(error).__name__)
            return _failed(str(error) or type(error).__name__, "pipeline_execution")
        warnings = validation.get("warnings")
        return {
            "success": export["success"],
            "generation_timestamp": self._local_time().replace(tzinfo=None).isoformat(),
            "feedback_period_days": plain_number(days_back),
            "data_statistics": {
                "total_feedback_entries": len(feedback),
                "positive_pairs": len(positives),
                "negative_pairs": len(negatives),
                "hard_negatives": len(hard),
                "total_training_pairs": len(pairs),
            },
            "validation": validation,
            "export": export,
            **({"warnings": list(warnings)} if warnings else {}),
        }

    @overload  # type: ignore[override]  # the old call has the name, too
    def generate_training_data(
        self,
        days_back: float = ...,
        include_hard_negatives: bool = ...,  # noqa: FBT001 - the old order
        output_format: str = ...,
        output_path: str | Path = ...,
    ) -> dict[str, Any]: ...
    @overload
    def generate_training_data(
        self, *, count: int, strategy: str = ..., validation: bool = ...
    ) -> list[TrainingExample]: ...
    @overload
    def generate_training_data(
        self, count: int, /, *, strategy: str, validation: bool = ...
    ) -> list[TrainingExample]: ...
    @overload
    def generate_training_data(
        self, count: int, strategy: str = ..., /, *, validation: bool
    ) -> list[TrainingExample]: ...
    @functools.wraps(_generate_files, assigned=())
    def generate_training_data(self, *args: Any, **kwargs: Any) -> dict[str, Any] | list[TrainingExample]:
        """Make pairs of the rated answers and export them, or make examples as the new class does.

        Any keyword that only the new call has (``count``, ``strategy``, ``validation``) means that one; everything else
        means the old one. So ``generate_training_data(90)`` looks back 90 days, and
        ``generate_training_data(count=90)`` makes 90 examples.

        Args:
            *args: ``days_back``, ``include_hard_negatives``, ``output_format`` and ``output_path``, as of
                ``get_feedback_data`` and ``export_training_data``; or what the new call takes.
            **kwargs: The same by name.

        Returns:
            ``success``, ``generation_timestamp``, ``feedback_period_days``, ``data_statistics``, ``validation``,
            ``export``, and ``warnings`` if there are any. Success is that of the export: a set that is too small is
            written, too, and ``validation["valid"]`` says so. ``negative_pairs`` is here without the hard ones. When
            that failed, ``success``, ``error`` and ``stage``. Of the new call, the examples.
        """
        if _ONLY_NEW_GENERATE.isdisjoint(kwargs):
            return self._generate_files(*args, **kwargs)
        return super().generate_training_data(*args, **kwargs)

    def _local_time(self) -> datetime:
        return self._clock().astimezone()


@deprecated_function("training_data_generator")
def create_training_data_generator(
    conport_client: FeedbackClient | None = None,
    workspace_id: str | None = None,
    chroma_db: DocumentStore | None = None,
    embedding_model: object = None,
) -> TrainingDataGenerator:
    """Make a generator; deprecated: call the class of ``ragtime.services.training_data_gen``.

    Args:
        conport_client: As for the class.
        workspace_id: As for the class.
        chroma_db: As for the class.
        embedding_model: As for the class.

    Returns:
        The generator.
    """
    return TrainingDataGenerator(conport_client, workspace_id, chroma_db, embedding_model)


def _is_store(given: object) -> bool:
    """Say whether something can be asked for documents; a dict has a ``get`` of another kind."""
    return callable(getattr(given, "get", None)) and not isinstance(given, Mapping)


def _failed(error: str, stage: str) -> dict[str, Any]:
    return {"success": False, "error": error, "stage": stage}
