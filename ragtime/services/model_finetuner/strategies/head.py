"""Training of a linear map after the pooling; the encoder stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragtime.errors import FineTuningError
from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.services.model_finetuner.strategies.weights import TrainsWeights
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn

__all__ = ["Head"]

_EMBEDDING = "sentence_embedding"


class Head(TrainsWeights):
    """Puts a square linear layer, the identity at first, between the model and its normalisation.

    With ``adapter_query_only`` it stands in a router, which leaves the embeddings of passages as they are, bit by bit:
    what is indexed stays valid.

    Attributes:
        name: ``head``.
    """

    name = "head"

    def __init__(self, config: FineTuningConfig) -> None:
        """Prepare the strategy.

        Args:
            config: Its `adapter_query_only` counts.
        """
        self._query_only = config.adapter_query_only

    def prepare(self, model: SentenceTransformer) -> SentenceTransformer:
        """Freeze the model, and put the linear layer in.

        Args:
            model: The base model, which is changed in place.

        Returns:
            The same model.

        Raises:
            FineTuningError: It does not tell the length of its embeddings, or gives none of whole texts.
        """
        model.requires_grad_(requires_grad=False)
        place = _place(model)
        head = self._head(_dimension(model, place)).to(model.device)
        normalisations = list(model)[place:]
        _replace_end(model, place, [_router(head, normalisations)] if self._query_only else [head, *normalisations])
        return model

    def frozen_depth(self, model: SentenceTransformer) -> int | None:  # noqa: ARG002 - the same for all
        """Return ``None``: everything before the linear layer is frozen."""
        return None

    def finished(self, model: SentenceTransformer) -> SentenceTransformer:
        """Return the model in evaluation mode; the linear layer stays, as a Dense module."""
        return model.eval()

    @staticmethod
    def _head(dimension: int) -> nn.Module:
        import torch  # noqa: PLC0415 - heavy

        modules = require("sentence_transformers.base.modules", "finetune")
        with torch.random.fork_rng(devices=[]):  # a linear layer draws weights first, which are replaced
            dense: nn.Module = modules.Dense(
                dimension,
                dimension,
                activation_function=torch.nn.Identity(),
                init_weight=torch.eye(dimension),
                init_bias=torch.zeros(dimension),
            )
        return dense


def _router(head: nn.Module, normalisations: list[nn.Module]) -> nn.Module:
    """Lead queries through the linear layer, and all else around it.

    Passages run through the very modules that they ran through before, so that not only their vectors stay the same but
    also the fingerprint by which caches and indexes know them.
    """
    modules = require("sentence_transformers.base.modules", "finetune")
    routes = {"query": [head, *normalisations], "document": normalisations}
    router: nn.Module = modules.Router(routes, default_route="document")
    return router


def _place(model: SentenceTransformer) -> int:
    """Return the position before the normalisations at the end."""
    modules = require("sentence_transformers.base.modules", "finetune")
    parts = list(model)
    place = len(parts)
    while (
        place and isinstance(parts[place - 1], modules.Normalize) and parts[place - 1].module_output_name == _EMBEDDING
    ):
        place -= 1
    return place


def _dimension(model: SentenceTransformer, place: int) -> int:
    """Return the length of the embeddings that leave the module before a position."""
    parts = list(model)[:place]
    if getattr(parts[-1] if parts else None, "module_output_name", _EMBEDDING) == _EMBEDDING:
        for part in reversed(parts):
            tell = getattr(part, "get_embedding_dimension", None)
            if callable(tell) and (found := tell()) is not None:
                return int(found)
    names = ", ".join(type(part).__name__ for part in model)
    raise FineTuningError(
        "The adapter_method head needs a model that pools the vectors of the tokens into one of the text and tells its "
        f"length; found {names}: use another adapter_method, or the strategy lora"
    )


def _replace_end(model: SentenceTransformer, place: int, end: list[nn.Module]) -> None:
    """Put modules in the place of those from a position on."""
    arguments = {module: (model.module_kwargs or {}).get(name) for name, module in model.named_children()}
    for _ in range(len(model) - place):
        model.pop(place)
    for module in end:
        model.append(module)
    if model.module_kwargs:  # goes by the names of the modules, which may have changed
        given = {name: arguments.get(module) for name, module in model.named_children()}
        model.module_kwargs = {name: one for name, one in given.items() if one}
