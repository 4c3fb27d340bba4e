"""The weights that a run changes, as a checkpoint keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ragtime.errors import FineTuningError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import Tensor, nn

__all__ = ["TrainsWeights", "load_trained_state", "trained_parameters", "trained_state"]

_SHOWN = 3


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return what is trained, by name, in the order of the modules.

    Args:
        model: The prepared model.

    Returns:
        The weights that need gradients; one that modules share stands once.
    """
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Copy all that training changes: what is trained, and the buffers that belong to the model's state.

    Args:
        model: The prepared model.

    Returns:
        Copies in the memory of the host, which later steps do not change.
    """
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in _changing(model).items()}


def load_trained_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put back what :func:`trained_state` copied, bit by bit.

    Args:
        model: The prepared model.
        state: The copies.

    Raises:
        FineTuningError: A name is missing or unknown, or a shape or a kind of number differs; nothing is changed.
    """
    import torch  # noqa: PLC0415 - heavy

    own = _changing(model)
    if own.keys() != state.keys():
        raise FineTuningError(
            "The state belongs to another model or strategy: "
            f"missing {_listed(own.keys() - state.keys())}; unknown {_listed(state.keys() - own.keys())}"
        )
    for name, tensor in own.items():
        given = state[name]
        if given.shape != tensor.shape or given.dtype != tensor.dtype:
            raise FineTuningError(
                f"The state belongs to another model: {name} is {tuple(given.shape)} of {given.dtype}, expected "
                f"{tuple(tensor.shape)} of {tensor.dtype}"
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])


def _changing(model: nn.Module) -> dict[str, Tensor]:
    stored = model.state_dict(keep_vars=True)  # without the buffers that are computed anew, such as position numbers
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in stored}
    return {**trained_parameters(model), **buffers}


def _listed(names: set[str]) -> str:
    shown = ", ".join(sorted(names)[:_SHOWN]) or "nothing"
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


class TrainsWeights:
    """Base of the strategies: what needs gradients after ``prepare`` is trained, kept in checkpoints and put back."""

    def parameters(self, model: SentenceTransformer) -> Mapping[str, nn.Parameter]:
        """Return what is trained, by name."""
        return trained_parameters(model)

    def state(self, model: SentenceTransformer) -> dict[str, Tensor]:
        """Return a copy of what is trained, and of the buffers."""
        return trained_state(model)

    def load_state(self, model: SentenceTransformer, state: Mapping[str, Tensor]) -> None:
        """Put back what :meth:`state` gave; FineTuningError when it belongs to another model."""
        load_trained_state(model, state)
