"""Whether a model still gives the embeddings that it gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from sentence_transformers import SentenceTransformer
else:
    np = LazyModule("numpy")

__all__ = ["CHECK_TEXTS", "RoleEmbeddings", "embed_for_check", "largest_difference"]

CHECK_TEXTS: tuple[str, ...] = (
    "reset password",
    "How long does the pump run after the lid is closed?",
    "The valve opens at 2.5 bar. Above 4 bar the controller stops the motor and reports error E-17.",
    "Größe, naïveté, 東京, 🚀: text is more than ASCII.",
    "x = {key: value for key, value in pairs if key}",
    " ".join(f"Sentence {number} of a long page, so that texts are cut somewhere." for number in range(60)),
)
"""Texts of several lengths, kinds and scripts; the last is longer than most models read."""


class RoleEmbeddings(NamedTuple):
    """Embeddings of some texts in both roles, float32 of shape ``[texts, dimension]`` each."""

    queries: npt.NDArray[np.float32]
    passages: npt.NDArray[np.float32]


def embed_for_check(model: SentenceTransformer, texts: Sequence[str] = CHECK_TEXTS) -> RoleEmbeddings:
    """Embed texts as queries and as passages, with the prompts of the model.

    Args:
        model: The model; it is left in evaluation mode.
        texts: The texts.

    Returns:
        The embeddings.
    """
    options = {"show_progress_bar": False, "convert_to_numpy": True}
    return RoleEmbeddings(
        model.encode_query(list(texts), **options),  # type: ignore[call-overload]
        model.encode_document(list(texts), **options),  # type: ignore[call-overload]
    )


def largest_difference(one: RoleEmbeddings, other: RoleEmbeddings) -> float:
    """Return the largest absolute difference of two numbers at the same place; infinite where they cannot be compared.

    Args:
        one: Embeddings.
        other: Embeddings of the same texts.

    Returns:
        The difference; infinity when the dimensions differ or a number is not finite.
    """
    differences = [
        float(np.abs(first.astype(np.float64) - second).max(initial=0.0)) if first.shape == second.shape else np.inf
        for first, second in zip(one, other, strict=True)
    ]
    largest = max(differences)
    return largest if all(np.isfinite(difference) for difference in differences) else float("inf")
