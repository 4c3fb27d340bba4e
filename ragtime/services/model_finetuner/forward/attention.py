"""How attention is computed in training, where there is a choice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["eager_attention"]

_FUSED, _EAGER = "sdpa", "eager"


@contextmanager
def eager_attention(model: nn.Module) -> Iterator[None]:
    """Compute attention step by step in the block, where it has dropout and would be fused.

    The fused kernel of a CPU knows no dropout; torch then takes a detour, which in bfloat16 is slower than attention
    step by step: a training pass of all-MiniLM-L6-v2 over texts of 256 tokens takes half as long again. What comes out
    is the same but for rounding. Attention without dropout stays fused, and so does that of a model that offers no
    choice.

    Args:
        model: The model, in training; the choice is that of its transformers before and after the block.
    """
    with ExitStack() as stack:
        for module in model.modules():
            config: Any = getattr(module, "config", None)
            switch: Any = getattr(module, "set_attn_implementation", None)
            if switch is None or not _has_dropout(config):
                continue
            if getattr(config, "_attn_implementation", None) == _FUSED:
                stack.callback(switch, _FUSED)
                switch(_EAGER)
        yield


def _has_dropout(config: object) -> bool:
    """Tell whether attention has dropout, as the configuration of a transformers model says."""
    named = {name: value for name, value in vars(config).items() if "dropout" in name and "att" in name}
    return any(isinstance(value, float) and value > 0 for value in named.values())
