"""Queries that ask the same of one passage in other words, told by their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.protocols import TextEncoder
from ragtime.services.training_data_gen.example import TrainingExample
from ragtime.storage.vectors import VectorIndex
from ragtime.storage.vectors.search import exact_pair_scores
from ragtime.utils.extras import LazyModule
from ragtime.utils.hashing import text_hash

if TYPE_CHECKING:
    import numpy as np
else:
    np = LazyModule("numpy")

__all__ = ["COSINE", "SameMeaning"]

COSINE = 0.95
"""From which cosine two queries mean the same: a paraphrase has less with most models, another word order more."""

_MEMORY_BYTES = 32 << 20  # of vectors; the others are read from the disk


class SameMeaning:
    """Vectors of the queries that were kept, in a folder, by what they are asked of.

    Nothing is compared across scopes, as by the rungs before: questions about different passages are no duplicates,
    however alike they are.
    """

    def __init__(self, encoder: TextEncoder, folder: Path) -> None:
        """Begin with nothing.

        Args:
            encoder: Embeds the queries.
            folder: An empty folder.
        """
        self._encoder = encoder
        self._index = VectorIndex.open(
            folder,
            dimension=encoder.dimension,
            fingerprint=encoder.fingerprint("query"),
            memory_bytes=_MEMORY_BYTES,
        )
        self._of_scope: dict[str, list[str]] = {}

    def add(self, examples: Sequence[TrainingExample], scopes: Sequence[str]) -> dict[str, tuple[str, float]]:
        """Take examples one after the other, each against all that were kept before it.

        Args:
            examples: The examples.
            scopes: What each of them is asked of.

        Returns:
            Of those that mean the same as another one, by their ids, the id of that one and the cosine.

        Raises:
            BackendError: The encoder failed.
        """
        if not examples:
            return {}
        vectors = self._encoder.encode([example.query for example in examples], role="query")
        keys = [text_hash(scope) for scope in scopes]
        here: dict[str, list[int]] = {}  # places of those that are kept, by scope
        found: dict[str, tuple[str, float]] = {}
        for place, (example, key) in enumerate(zip(examples, keys, strict=True)):
            before = self._of_scope.get(key)
            found_there = self._index.search(vectors[place], 1, among=before)[0] if before else []
            hits = [(hit.id, hit.score) for hit in found_there]
            others = here.setdefault(key, [])
            scores = exact_pair_scores(
                vectors, np.array(others, np.int64), vectors, np.full(len(others), place, np.int64)
            )
            hits += [(examples[one].id, score) for one, score in zip(others, scores.tolist(), strict=True)]
            keeper, score = max(hits, key=lambda hit: hit[1], default=("", 0.0))  # of equal ones, the first
            if score >= COSINE:
                found[example.id] = keeper, score
            else:
                others.append(place)
        for key, places in here.items():
            self._of_scope.setdefault(key, []).extend(examples[place].id for place in places)
        kept = [place for places in here.values() for place in places]
        self._index.add([examples[place].id for place in kept], vectors[kept])
        return found

    def close(self) -> None:
        """Release the files."""
        self._index.close()
