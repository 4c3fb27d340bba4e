"""Whole models in rounded numbers: for training, for a plain folder, and with int8 weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ragtime.errors import FineTuningError, InvalidArgumentError
from ragtime.services.model_finetuner.strategies.comparison import CHECK_TEXTS, embed_for_check, largest_difference
from ragtime.services.model_finetuner.strategies.fake_quant import (
    fake_quant_linear,
    int8_linear,
    is_fake_quant,
    is_int8,
    is_plain_linear,
    plain_linear,
    replace_modules,
)
from ragtime.services.model_finetuner.strategies.structure import evaluating, linear_layers, transformer_of
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from torch.nn import Module
else:
    np = LazyModule("numpy")

__all__ = [
    "RoundingDifference",
    "fake_quantize",
    "quantize_after",
    "quantized_layers",
    "rounding_difference",
    "to_int8",
    "to_plain",
]


class RoundingDifference(NamedTuple):
    """How far the embeddings of two models are from each other.

    Attributes:
        largest: Largest absolute difference of two numbers at the same place.
        least_cosine: Least cosine between the two embeddings of a text.
    """

    largest: float
    least_cosine: float


def fake_quantize(model: SentenceTransformer) -> list[str]:
    """Replace the linear layers of attention and feed-forward networks by some that compute in rounded numbers.

    Word embeddings, norms, a pooler and what comes after the transformer stay float32: embeddings are looked up, not
    multiplied, and the rest is small.

    Args:
        model: A model of plain modules; it is changed, and keeps its parameters under their names.

    Returns:
        The names of the layers within the transformer.

    Raises:
        FineTuningError: There is no such layer, or the model is quantized already.
    """
    transformer = transformer_of(model)
    if any(_is_quantized(module) for module in transformer.modules()):
        raise FineTuningError("The model is quantized already: begin with its float32 weights")
    wanted = {module for module in linear_layers(transformer).values() if is_plain_linear(module)}
    return replace_modules(
        transformer,
        lambda module: fake_quant_linear(module) if is_plain_linear(module) and module in wanted else None,
    )


def quantized_layers(model: SentenceTransformer) -> dict[str, Module]:
    """Find the layers of a model that compute in rounded numbers.

    Args:
        model: A model.

    Returns:
        The layers by their names within the transformer.

    Raises:
        FineTuningError: There is none.
    """
    places = transformer_of(model).named_modules(remove_duplicate=False)
    found = {name: module for name, module in places if _is_quantized(module)}
    if not found:
        raise FineTuningError("The model is not quantized: pass it to quantize_after, or train it as 'quantized'")
    return found


def to_plain(model: SentenceTransformer) -> SentenceTransformer:
    """Copy a quantized model into one of plain modules, with the rounded weights in float32.

    Its embeddings differ a little, for its activations are not rounded; :func:`rounding_difference` tells how much.

    Args:
        model: A model with fake-quantized or int8 layers; it stays as it is.

    Returns:
        The copy, in evaluation mode.

    Raises:
        FineTuningError: The model is not quantized.
    """
    return _copied(model, plain_linear)


def to_int8(model: SentenceTransformer) -> SentenceTransformer:
    """Copy a quantized model into one that holds int8 weights and gives the same embeddings, bit by bit.

    Args:
        model: A model with fake-quantized or int8 layers; it stays as it is.

    Returns:
        The copy, in evaluation mode and without anything to train.

    Raises:
        FineTuningError: The model is not quantized.
    """
    return _copied(model, int8_linear).requires_grad_(False)  # noqa: FBT003 - positional in torch


def quantize_after(model: SentenceTransformer) -> SentenceTransformer:
    """Round a model after its training, in the same way as the strategy ``quantized`` does in training.

    Args:
        model: A model of plain modules; it stays as it is.

    Returns:
        A copy with int8 weights, as :func:`to_int8` gives it.

    Raises:
        FineTuningError: There is no linear layer, or the model is quantized already.
    """
    rounded = copy.deepcopy(model)
    fake_quantize(rounded)
    return to_int8(rounded)


def rounding_difference(
    model: SentenceTransformer, other: SentenceTransformer, texts: Sequence[str] = CHECK_TEXTS
) -> RoundingDifference:
    """Measure how far the embeddings of two models are from each other, dropout aside.

    Args:
        model: A model.
        other: Another one of the same dimension, such as ``to_plain(model)``.
        texts: At least one text; they are computed in both roles.

    Returns:
        The difference.

    Raises:
        InvalidArgumentError: There is no text.
    """
    if isinstance(texts, str) or not texts:
        raise InvalidArgumentError("texts must be a list of at least one text")
    with evaluating(model), evaluating(other):
        ours, theirs = embed_for_check(model, texts), embed_for_check(other, texts)
    one, two = (np.concatenate(embeddings).astype(np.float64) for embeddings in (ours, theirs))
    cosines = (one * two).sum(axis=1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1))
    return RoundingDifference(largest_difference(ours, theirs), float(cosines.min()))


def _copied(model: SentenceTransformer, made: Callable[[Module], Module]) -> SentenceTransformer:
    quantized_layers(model)  # complains where there is nothing to convert
    new = copy.deepcopy(model)
    new.zero_grad(set_to_none=True)  # a deep copy takes the gradients along
    replace_modules(transformer_of(new), lambda module: made(module) if _is_quantized(module) else None)
    return new.eval()


def _is_quantized(module: Module) -> bool:
    return is_fake_quant(module) or is_int8(module)
