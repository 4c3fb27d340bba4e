"""What the old generator said of its pairs: counts, lengths, and whether they are enough to train on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragtime_compat.training_pairs import HARD_NEGATIVE, TrainingPair, is_positive

__all__ = ["checked_pairs"]

_FEWEST = 20
_LEAST_POSITIVE, _MOST_POSITIVE = 0.2, 0.8
_MOST_DUPLICATES = 0.1


def checked_pairs(pairs: Sequence[TrainingPair]) -> dict[str, Any]:
    """Judge pairs as a training set.

    Args:
        pairs: The pairs, at least one.

    Returns:
        ``valid``, ``warnings`` and ``statistics``. Hard negatives count among the negatives, too.

    Raises:
        AttributeError: One is no pair.
        TypeError: A field of one is of another type.
    """
    total = len(pairs)
    positives = sum(map(is_positive, pairs))
    positive_ratio = positives / total
    duplicate_ratio = (total - len({(pair.query, pair.document) for pair in pairs})) / total
    queries = [len(pair.query.split()) for pair in pairs]
    documents = [len(pair.document.split()) for pair in pairs]
    warnings = []
    if total < _FEWEST:
        warnings.append(f"Insufficient training data: {total} < {_FEWEST}")
    if positive_ratio < _LEAST_POSITIVE:
        warnings.append(f"Too few positive examples: {positive_ratio:.1%}")
    elif positive_ratio > _MOST_POSITIVE:
        warnings.append(f"Too many positive examples: {positive_ratio:.1%}")
    if duplicate_ratio > _MOST_DUPLICATES:
        warnings.append(f"High duplicate ratio: {duplicate_ratio:.1%}")
    return {
        "valid": not warnings,
        "warnings": warnings,
        "statistics": {
            "total_pairs": total,
            "positive_pairs": positives,
            "negative_pairs": total - positives,
            "hard_negatives": sum(1 for pair in pairs if pair.pair_type == HARD_NEGATIVE),
            "positive_ratio": round(positive_ratio, 3),
            "duplicate_ratio": round(duplicate_ratio, 3),
            "avg_query_length": round(sum(queries) / total, 1),
            "avg_document_length": round(sum(documents) / total, 1),
            "query_length_range": [min(queries), max(queries)],
            "document_length_range": [min(documents), max(documents)],
        },
    }
