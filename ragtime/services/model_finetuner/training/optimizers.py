"""Optimizers, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ragtime.services.model_finetuner.config import FineTuningConfig
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import Optimizer

__all__ = ["make_optimizer"]

_MATRIX = 2  # axes; biases and the weights of norms have one


def make_optimizer(config: FineTuningConfig, parameters: Mapping[str, Parameter]) -> Optimizer:
    """Make the optimizer of a run.

    Matrices decay, biases and norms do not. AdamW takes the decay off the weights (Loshchilov and Hutter, 2019), Adam
    and SGD add it to the gradients, as in torch.

    Args:
        config: Its fields ``optimizer``, ``learning_rate``, ``momentum`` and ``weight_decay`` are used.
        parameters: What is trained, by name; their order is that of the optimizer's state.

    Returns:
        The optimizer.
    """
    torch = require("torch", "finetune")
    matrices = [weight for weight in parameters.values() if weight.ndim >= _MATRIX]
    others = [weight for weight in parameters.values() if weight.ndim < _MATRIX]
    groups: list[dict[str, Any]] = [
        {"params": some, "weight_decay": decay}
        for some, decay in ((matrices, config.weight_decay), (others, 0.0))
        if some
    ]
    rate = config.learning_rate
    if config.optimizer == "sgd":
        optimizer: Optimizer = torch.optim.SGD(groups, lr=rate, momentum=config.momentum)
        return optimizer
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    fused = all(weight.device.type in {"cpu", "cuda"} for weight in parameters.values())
    made: Optimizer = kind(groups, lr=rate, fused=fused)
    return made
