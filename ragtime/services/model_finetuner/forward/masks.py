"""Dropout on a CPU, with masks that are drawn faster.

torch draws a mask there with a random number of its own for each value, which takes a third of the time of a forward
pass of all-MiniLM-L6-v2. One number of 64 bits is enough for four values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

__all__ = ["dropout", "fast_dropout"]

_LEVELS = 1 << 16  # values of the 16 bits that decide on one value
_LEAST, _MOST = -(1 << 63), 4  # of a random number, and values that it decides on


def dropout(values: torch.Tensor, probability: float) -> torch.Tensor:
    """Set values to zero by chance, and scale the others so that their expectation stays.

    Args:
        values: Any shape, on the CPU.
        probability: How likely a value is to be dropped, from 0 to less than 1, rounded to 1/65536.

    Returns:
        A tensor of the same shape and type. The numbers come from torch's own generator.
    """
    dropped = min(round(probability * _LEVELS), _LEVELS - 1)
    numbers = torch.empty(-(-values.numel() // _MOST), dtype=torch.int64).random_(_LEAST, None)
    kept = numbers.view(torch.int16)[: values.numel()].view(values.shape) >= dropped - _LEVELS // 2
    return (values * kept) * (_LEVELS / (_LEVELS - dropped))


def fast_dropout() -> AbstractContextManager[object]:
    """Return a context in which ``torch.nn.functional.dropout`` is :func:`dropout` on a CPU, whoever calls it."""

    class FastDropout(torch.overrides.TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., Any],
            types: tuple[type, ...],
            args: tuple[Any, ...] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> Any:
            told = dict(kwargs or {})
            if func is torch.nn.functional.dropout and (taken := _taken(*args, **told)) is not None:
                return dropout(*taken)
            return func(*args, **told)

    return FastDropout()


def _taken(
    input: torch.Tensor,  # noqa: A002 - torch's own names, by which it is called
    p: float = 0.5,
    training: bool = True,  # noqa: FBT001, FBT002
    inplace: bool = False,  # noqa: FBT001, FBT002
) -> tuple[torch.Tensor, float] | None:
    """Return what to drop of, and how much; ``None`` where torch had better do it."""
    drawn = training and not inplace and 0 < p < 1 and input.device.type == "cpu" and input.is_floating_point()
    return (input, p) if drawn else None
