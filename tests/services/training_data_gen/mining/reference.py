"""Sentence-transformers' miner on vectors that are given, and random tasks for both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragtime.services.training_data_gen.mining import MiningTask

Vectors = npt.NDArray[np.float32]


def unit_vectors(count: int, dimension: int, seed: int) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@dataclass(frozen=True)
class GivenVectors:
    """A model whose vectors are those of texts like ``q7`` and ``d12``."""

    queries: Vectors
    corpus: Vectors
    device: str = "cpu"

    def encode_query(self, texts: list[str], **_: Any) -> Vectors:
        return self.queries[[int(text[1:]) for text in texts]]

    def encode_document(self, texts: list[str], **_: Any) -> Vectors:
        return self.corpus[[int(text[1:]) for text in texts]]

    def similarity(self, queries: Any, passages: Any) -> Any:
        from sentence_transformers.util import dot_score

        return dot_score(queries, passages)

    def similarity_pairwise(self, queries: Any, passages: Any) -> Any:
        from sentence_transformers.util import pairwise_dot_score

        return pairwise_dot_score(queries, passages)


@dataclass(frozen=True)
class GivenScores:
    """A cross-encoder whose scores are those of a function of two positions."""

    score: Callable[[int, int], float]

    def predict(self, pairs: list[tuple[str, str]], **_: Any) -> Any:
        import torch

        return torch.tensor([self.score(int(query[1:]), int(passage[1:])) for query, passage in pairs])


def reference_negatives(
    task: MiningTask, *, cross_encoder: GivenScores | None = None, **options: Any
) -> dict[int, dict[int, float]]:
    """Mine with ``sentence_transformers.util.mine_hard_negatives``.

    Args:
        task: What to mine; groups of copies become equal texts.
        cross_encoder: Scores candidates again; ``None`` means none.
        **options: Its own options.

    Returns:
        For each query, negatives and their scores.
    """
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    groups = np.arange(len(task.corpus)) if task.corpus_groups is None else task.corpus_groups
    first = {int(group): place for place, group in reversed(list(enumerate(groups)))}
    corpus = [f"d{first[int(group)]}" for group in groups]
    pairs = [(f"q{query}", corpus[one]) for query, some in enumerate(task.positives) for one in some]
    rows = {"query": [query for query, _ in pairs], "passage": [passage for _, passage in pairs]}
    mined = mine_hard_negatives(
        Dataset.from_dict(rows),
        GivenVectors(task.queries, task.corpus),
        corpus=corpus,
        cross_encoder=cross_encoder,
        output_format="labeled-list",
        output_scores=True,
        verbose=False,
        **options,
    )
    found: dict[int, dict[int, float]] = {query: {} for query in range(len(task.queries))}
    for row in mined:
        negatives = zip(row["passage"][1:], row["scores"][1:], strict=True)
        found[int(row["query"][1:])].update((int(passage[1:]), score) for passage, score in negatives)
    return found
