"""Rated answers, and the pairs that the old generator made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from numbers import Real
from typing import Any

from ragtime.errors import RagtimeError
from ragtime.monitoring.logging import get_logger
from ragtime_compat.training_checks import checked_pairs
from ragtime_compat.training_feedback import (
    DocumentStore,
    FeedbackClient,
    FeedbackEntry,
    is_recent,
    rating_of,
    search_feedback,
    usable_entries,
)
from ragtime_compat.training_pairs import TrainingPair, hard_negative_pairs, is_empty, is_pair, rated_pairs

__all__ = ["RatedAnswers"]

# What the old calls answered with a value, where new ones raise.
_FAILURES = (RagtimeError, ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)

_log = get_logger(f"ragtime.{__name__}")
_MOST_HARD_NEGATIVES = 100


class RatedAnswers:
    """The old methods of the generator that make pairs, and what they depend on; see the wrapper for the attributes."""

    def __init__(
        self,
        conport_client: FeedbackClient | None,
        workspace_id: str | None,
        chroma_db: DocumentStore | None,
        embedding_model: object,
        clock: Callable[[], datetime],
    ) -> None:
        """Keep what is given, with the thresholds of old."""
        self.conport_client = conport_client
        self.workspace_id = workspace_id
        self.chroma_db = chroma_db
        self.embedding_model = embedding_model
        self.positive_rating_threshold: float = 4
        self.negative_rating_threshold: float = 2
        self.hard_negative_similarity_threshold = 0.7
        self.min_query_length = 3
        self.max_pairs_per_query = 5
        self.document_cache: dict[str, str] = {}
        self._clock = clock

    # --- sources ------------------------------------------------------------------------------------------------

    def get_feedback_data(self, days_back: float = 90, min_samples: int = 10) -> list[FeedbackEntry]:
        """Return the rated answers that can be used.

        Args:
            days_back: How many days old they may be; 0 or less means any age, and that no time is needed.
            min_samples: With fewer, the log has a warning.

        Returns:
            The entries as they were stored; none when there is no client or no workspace, or when the client fails.
        """
        if self.conport_client is None or not self.workspace_id:
            _log.warning("Without a client and a workspace there is no feedback")
            return []
        given: Any = days_back  # which mypy takes at its word
        if not isinstance(given, Real):
            _log.error("days_back is no number: there is no feedback", found=type(given).__name__)
            return []
        try:
            records = search_feedback(self.conport_client, self.workspace_id)
        except Exception as error:  # noqa: BLE001 - the client is the caller's, and fails in ways of its own
            _log.error("The client gives no feedback", error=type(error).__name__)
            return []
        try:
            entries = list(usable_entries(records, self.min_query_length))
            if days_back > 0:
                moment = self._clock()
                entries = [entry for entry in entries if is_recent(entry, days_back, moment)]
            if len(entries) < len(records):
                _log.info("Some feedback cannot be used", found=len(records), usable=len(entries))
            if len(entries) < min_samples:
                _log.warning("There is little feedback", found=len(entries), wanted=min_samples)
        except _FAILURES as error:
            _log.error("The feedback cannot be read", error=type(error).__name__)
            return []
        return entries

    def get_document_content(self, document_ids: Iterable[object]) -> dict[str, str]:
        """Return the texts of documents.

        Args:
            document_ids: Their ids; what is no text is passed over.

        Returns:
            The texts by id, in the order of the ids, without those that are missing or blank; none at all when there is
            no store, or when it fails.
        """
        if self.chroma_db is None:
            _log.warning("Without a store there are no documents")
            return {}
        try:
            ids = [one for one in document_ids if isinstance(one, str)]
            missing = list(dict.fromkeys(one for one in ids if one not in self.document_cache))
            found = self.chroma_db.get(ids=missing) if missing else {"ids": [], "documents": []}
            texts = dict(zip(found["ids"], found["documents"], strict=True))
        except Exception as error:  # noqa: BLE001 - the store is the caller's, and fails in ways of its own
            _log.error("The store gives no documents", error=type(error).__name__)
            return {}
        self.document_cache |= {one: text for one, text in texts.items() if isinstance(text, str) and text.strip()}
        return {one: self.document_cache[one] for one in ids if one in self.document_cache}

    # --- pairs --------------------------------------------------------------------------------------------------

    def generate_positive_pairs(self, feedback: Iterable[FeedbackEntry]) -> list[TrainingPair]:
        """Pair the queries of answers that were rated well with their documents.

        Args:
            feedback: The rated answers.

        Returns:
            The pairs, label 1.0, at most ``max_pairs_per_query`` of each entry; none when that fails.
        """
        return self._rated_pairs(feedback, lambda rating: rating >= self.positive_rating_threshold, positive=True)

    def generate_negative_pairs(self, feedback: Iterable[FeedbackEntry]) -> list[TrainingPair]:
        """Pair the queries of answers that were rated badly with their documents.

        Args:
            feedback: The rated answers.

        Returns:
            The pairs, label 0.0, at most ``max_pairs_per_query`` of each entry; none when that fails.
        """
        return self._rated_pairs(feedback, lambda rating: rating <= self.negative_rating_threshold, positive=False)

    def _rated_pairs(
        self, feedback: Iterable[FeedbackEntry], fits: Callable[[float], bool], *, positive: bool
    ) -> list[TrainingPair]:
        pairs: list[TrainingPair] = []
        try:
            for entry in _entries(feedback):
                rating = rating_of(entry)
                if rating is not None and fits(rating):
                    made = list(rated_pairs(entry, rating, self.get_document_content, positive=positive))
                    pairs += made[: self.max_pairs_per_query]
        except _FAILURES as error:
            _log.error("No pairs can be made of the feedback", error=type(error).__name__)
            return []
        return pairs

    def generate_hard_negative_pairs(
        self,
        positive_pairs: Sequence[TrainingPair],
        feedback_data: Iterable[FeedbackEntry],
        num_hard_negatives: int | None = None,
    ) -> list[TrainingPair]:
        """Pair the queries of positives with documents of answers to like queries that were rated badly.

        Args:
            positive_pairs: The positives.
            feedback_data: The rated answers.
            num_hard_negatives: How many positives are looked at; ``None`` means all, and 100 at most.

        Returns:
            The pairs, label 0.0, at most one for each positive; none when that fails.
        """
        try:
            positives = [pair for pair in positive_pairs if is_pair(pair)]
            limit = min(len(positives), _MOST_HARD_NEGATIVES) if num_hard_negatives is None else num_hard_negatives
            return list(
                hard_negative_pairs(
                    positives,
                    _entries(feedback_data),
                    self.get_document_content,
                    limit=limit,
                    worst_rating=self.negative_rating_threshold,
                    threshold=self.hard_negative_similarity_threshold,
                )
            )
        except _FAILURES as error:
            _log.error("No hard negatives can be made of the feedback", error=type(error).__name__)
            return []

    def validate_training_data(self, pairs: Sequence[TrainingPair]) -> dict[str, Any]:
        """Judge pairs as a training set.

        Args:
            pairs: The pairs.

        Returns:
            ``valid``, ``warnings`` and ``statistics``, where hard negatives count among ``negative_pairs``; with
            ``error`` and without warnings when there are none, or when they are no pairs.
        """
        try:
            return _not_judged("No training pairs provided") if is_empty(pairs) else checked_pairs(pairs)
        except _FAILURES as error:
            _log.error("The pairs cannot be judged", error=type(error).__name__)
            return _not_judged(str(error))


def _entries(feedback: Iterable[object]) -> list[FeedbackEntry]:
    """Return those of the entries that are objects."""
    return [entry for entry in feedback if isinstance(entry, dict)]


def _not_judged(error: str) -> dict[str, Any]:
    return {"valid": False, "error": error, "statistics": {}}
