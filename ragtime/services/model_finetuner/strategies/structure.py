"""What a model is made of: its transformer, the layers of it, and which weights its embeddings depend on.

Nothing here knows architectures by name. Layers are found by their form, and what a weight does by asking autograd.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ragtime.errors import FineTuningError
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor, nn
    from transformers import PreTrainedModel

__all__ = ["LayerStack", "evaluating", "linear_layers", "parameters_before", "parameters_in_use", "transformer_of"]

_PROBE = "A short text, for which nothing is learned."  # only the graph of its computation matters
_ROLES = ("query", "document")


class LayerStack(NamedTuple):
    """The layers of a transformer.

    Attributes:
        name: The name of the list in the transformer, such as ``encoder.layer``.
        layers: The layers, the lowest first.
    """

    name: str
    layers: Sequence[nn.Module]

    @classmethod
    def of(cls, transformer: PreTrainedModel) -> LayerStack:
        """Find the layers of a transformer: its longest list of modules that lies in no other such list.

        Args:
            transformer: The transformer.

        Returns:
            The layers.

        Raises:
            FineTuningError: It has none.
        """
        import torch  # noqa: PLC0415 - heavy

        found: list[LayerStack] = []
        for name, module in transformer.named_modules():
            nested = any(name.startswith(f"{stack.name}.") for stack in found)
            if isinstance(module, torch.nn.ModuleList) and len(module) and not nested:
                found.append(cls(name, list(module)))
        if not found:
            raise FineTuningError(
                f"No layers were found in {type(transformer).__name__}: looked for a torch.nn.ModuleList, as "
                "encoder.layer of BERT or layers of a decoder; train it with the strategy full, without frozen_layers"
            )
        return max(found, key=lambda stack: len(stack.layers))  # the first of the longest


def transformer_of(model: SentenceTransformer) -> PreTrainedModel:
    """Return the one transformer of a model.

    Args:
        model: The model.

    Returns:
        The model of the transformers package inside of it.

    Raises:
        FineTuningError: It has none, or several.
    """
    modules = require("sentence_transformers.base.modules", "finetune")
    found: list[PreTrainedModel] = [part.model for part in model.modules() if isinstance(part, modules.Transformer)]
    if len(found) != 1:
        parts = ", ".join(type(part).__name__ for part in model)
        raise FineTuningError(
            f"Expected a model with one transformer, found {len(found)} in {parts}; train it with the strategy full "
            "without frozen_layers, or with the adapter_method head"
        )
    return found[0]


def linear_layers(transformer: PreTrainedModel) -> dict[str, nn.Linear]:
    """Find the linear layers of attention and feed-forward networks: all that lie in the layers of a transformer.

    Those outside, such as the pooler of BERT, need not have a part in the embeddings.

    Args:
        transformer: The transformer.

    Returns:
        The linear layers by their names in it, in the order of its modules.

    Raises:
        FineTuningError: It has none.
    """
    import torch  # noqa: PLC0415 - heavy

    stack = LayerStack.of(transformer)
    found = {
        name: module
        for name, module in transformer.named_modules()
        if name.startswith(f"{stack.name}.") and isinstance(module, torch.nn.Linear)
    }
    if not found:
        raise FineTuningError(
            f"No torch.nn.Linear was found in the layers {stack.name!r} of {type(transformer).__name__}; use the "
            "strategy full, or the adapter_method head"
        )
    return found


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switch dropout and the like off in the block, and leave every module as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def parameters_in_use(model: SentenceTransformer) -> set[str]:
    """Tell which weights the embeddings depend on: others would never get a gradient.

    Args:
        model: The model; weights that need no gradient do not count.

    Returns:
        The names of the weights.
    """
    return _reached(model, [_embed(model, role) for role in _ROLES])


def parameters_before(model: SentenceTransformer, stack: LayerStack, depth: int) -> set[str]:
    """Tell which weights have a part in what comes out of the lowest layers of a model.

    Besides these layers and the embeddings that may be what a model hands to all of its layers, as the relative
    positions of MPNet.

    Args:
        model: The model; weights that need no gradient do not count.
        stack: Its layers.
        depth: How many of them count, 0 to all.

    Returns:
        The names of the weights.
    """
    calls: list[list[Tensor]] = []
    last = len(stack.layers) - 1
    if depth <= last:
        hook = stack.layers[depth].register_forward_pre_hook(
            lambda _, args, kwargs: calls.append(list(_tensors((args, kwargs)))), with_kwargs=True
        )
    else:
        hook = stack.layers[last].register_forward_hook(lambda _, __, output: calls.append(list(_tensors(output))))
    passing: list[Tensor] = []
    try:
        for role in _ROLES:
            calls.clear()
            _embed(model, role)
            passing += calls[0]  # ALBERT calls one layer many times: what it gives back to itself is not below it
    finally:
        hook.remove()
    return _reached(model, passing)


def _embed(model: SentenceTransformer, role: str) -> Tensor:
    import torch  # noqa: PLC0415 - heavy

    util = require("sentence_transformers.util", "finetune")
    with evaluating(model), torch.enable_grad():
        features = util.batch_to_device(model.preprocess([_PROBE], task=role), model.device)
        embedding: Tensor = model(features, task=role)["sentence_embedding"]
    return embedding


def _tensors(value: object) -> Iterator[Tensor]:
    import torch  # noqa: PLC0415 - heavy

    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _reached(model: SentenceTransformer, outputs: Sequence[Tensor]) -> set[str]:
    """Return the names of the weights that outputs depend on."""
    import torch  # noqa: PLC0415 - heavy

    sums = [output.sum() for output in outputs if output.requires_grad]
    named = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    if not sums or not named:
        return set()
    gradients: Sequence[Tensor | None] = torch.autograd.grad(sums, list(named.values()), allow_unused=True)
    return {name for name, gradient in zip(named, gradients, strict=True) if gradient is not None}
