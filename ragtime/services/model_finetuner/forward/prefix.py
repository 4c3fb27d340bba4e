"""The part of a model that is not trained: without dropout, and computed once where nothing but its output is used.

Autograd does not go below the lowest weight that is trained, so that the lower layers of a model cost their forward
pass and no memory for a backward one, once their weights need no gradient. Where all of the encoder is frozen, its
embeddings never change, and each text runs through it once in a whole run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.errors import FineTuningError
from ragtime.monitoring.logging import get_logger
from ragtime.services.model_finetuner.forward.encoder import BatchEncoder
from ragtime.services.model_finetuner.forward.hidden import UpperModel, hidden_bytes
from ragtime.services.model_finetuner.forward.limits import GradientCache
from ragtime.services.model_finetuner.forward.models import HeadModel, TextModel
from ragtime.services.model_finetuner.forward.precision import Precision
from ragtime.services.model_finetuner.forward.processes import Processes
from ragtime.services.model_finetuner.forward.tokens import TokenizedTexts
from ragtime.services.model_finetuner.strategies.structure import LayerStack, transformer_of
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
    from torch import nn
else:
    np = LazyModule("numpy")

__all__ = ["FrozenCache", "frozen_modules", "prepare_encoder"]

_log = get_logger(__name__)

_FILE = "frozen-embeddings.npy"
_HIDDEN = "frozen-hidden-states.npy"


@dataclass(frozen=True, slots=True)
class FrozenCache:
    """Where the outputs of frozen parts are kept, in files that may be deleted after the run.

    Attributes:
        folder: The folder, which is there.
        hidden_bytes: Largest file of hidden states, those of all tokens; 0, as for a run of one epoch, in which each
            is used once, means that none is made.
    """

    folder: Path
    hidden_bytes: int = 0


def prepare_encoder(
    model: SentenceTransformer,
    texts: TokenizedTexts,
    *,
    frozen_depth: int | None = -1,
    precision: Precision = "float32",
    gradient_cache: GradientCache = "auto",
    max_tokens: int | None = None,
    processes: Processes | None = None,
    cache: FrozenCache | None = None,
) -> BatchEncoder:
    """Make what computes the embeddings of a training run.

    Args:
        model: The model, prepared by a strategy and on its device.
        texts: All texts of the run, tokenized for this model.
        frozen_depth: What the strategy says of the part that never changes. ``None``, everything up to the pooling:
            all texts are run through it now, and steps begin with what comes out. From 0: the embeddings and so many
            layers have no dropout. -1: nothing.
        precision: What passes are computed in.
        gradient_cache: See :class:`BatchEncoder`.
        max_tokens: See :class:`BatchEncoder`.
        processes: See :class:`BatchEncoder`.
        cache: Where to keep what frozen parts give. ``None`` means in memory for whole encoders, and nowhere for lower
            layers, which are then run in every step.

    Returns:
        The encoder.

    Raises:
        FineTuningError: The model has no such part.
    """
    if frozen_depth is not None:
        frozen = frozen_modules(model, frozen_depth) if frozen_depth >= 0 else []
        whole = TextModel(model, texts, precision=precision, frozen=frozen)
        if frozen_depth > 0 and cache is not None and hidden_bytes(model, texts) <= cache.hidden_bytes:
            try:
                path = cache.folder / _HIDDEN
                whole = UpperModel(model, texts, depth=frozen_depth, path=path, precision=precision, frozen=frozen)
            except FineTuningError as error:
                _log.warning("Frozen layers are run in every step", reason=str(error))
        return BatchEncoder(
            whole,
            gradient_cache=gradient_cache,
            max_tokens=max_tokens,
            processes=processes,
            frozen_once=isinstance(whole, UpperModel),
        )
    start = _first_trained(model)
    lower = TextModel(model, texts, precision=precision, stop=start)
    shape = (len(texts), lower.dimension)
    base = (
        np.lib.format.open_memmap(cache.folder / _FILE, mode="w+", dtype=np.float32, shape=shape)
        if cache is not None
        else np.empty(shape, np.float32)
    )
    BatchEncoder(lower, max_tokens=max_tokens).embed(np.arange(len(texts)), out=base, description="Embedding once")
    _log.info("The frozen encoder was run once", texts=len(texts), dimension=lower.dimension)
    head = HeadModel(model, texts, base, start=start)
    return BatchEncoder(head, gradient_cache=gradient_cache, processes=processes, frozen_once=True)


def frozen_modules(model: SentenceTransformer, depth: int) -> list[nn.Module]:
    """Return the modules of the frozen part of a transformer.

    Args:
        model: The model.
        depth: How many of the lower layers are frozen, besides the embeddings.

    Returns:
        The embeddings and the layers.

    Raises:
        FineTuningError: The model has no such layers.
    """
    transformer = transformer_of(model)
    stack = LayerStack.of(transformer)
    if depth > len(stack.layers):
        raise FineTuningError(f"Expected at most {len(stack.layers)} frozen layers, found {depth}")
    words = transformer.get_input_embeddings()
    # What holds the word embeddings and not the layers: the positions, their norm and dropout, too.
    holders = [
        module
        for name, module in transformer.named_modules()
        if name and not stack.name.startswith(name) and any(part is words for part in module.modules())
    ]
    return [*holders[:1], *stack.layers[:depth]]


def _first_trained(model: SentenceTransformer) -> int:
    """Return the number of the first module that has a trained weight."""
    for number, module in enumerate(model):
        if any(parameter.requires_grad for parameter in module.parameters()):
            return number
    raise FineTuningError("Nothing of the model is trained: no weight needs a gradient")
