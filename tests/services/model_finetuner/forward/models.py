"""What the tests of forward passes share: texts of many lengths, a loss, and gradients by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ragtime.services.model_finetuner.forward import TokenizedTexts, tokenize_texts
from ragtime.testing import tiny_model

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor

TEXTS = [" ".join("abcdefghij"[(number * step) % 10] * 2 for step in range(1, 2 + number % 9)) for number in range(24)]
"""Texts of 1 to 9 words; some of them are equal."""

ROWS = [(number % 24, (number * 7 + 3) % 24) for number in range(16)]
"""Pairs of texts; texts come several times."""


def trained_model(dropout: float = 0.0, **options: int) -> SentenceTransformer:
    """A tiny model whose dropout is what the test says."""
    from ragtime.services.model_finetuner.forward import set_dropout

    model = tiny_model(dimension=16, **options)
    set_dropout(model, dropout)
    return model


def tokens_of(model: SentenceTransformer) -> TokenizedTexts:
    return tokenize_texts(model, TEXTS)


def batch() -> tuple[np.ndarray, np.ndarray]:
    """The distinct texts of the rows, and where each of both columns finds its own."""
    numbers, places = np.unique(np.array(ROWS), return_inverse=True)
    return numbers, places.reshape(-1, 2)


def contrastive(places: np.ndarray) -> Callable[[Tensor], Tensor]:
    """A loss in which every text plays a part."""
    import torch

    def loss_of(embeddings: Tensor) -> Tensor:
        queries, passages = (embeddings[torch.from_numpy(places[:, column])] for column in (0, 1))
        return torch.nn.functional.cross_entropy(queries @ passages.T / 0.1, torch.arange(len(places)))

    return loss_of


def gradients(model: SentenceTransformer) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def distance(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The greatest difference, relative to the greatest gradient."""
    assert found.keys() == expected.keys()
    greatest = max(float(gradient.abs().max()) for gradient in expected.values())
    return max(float((found[name] - expected[name]).abs().max()) for name in expected) / greatest
