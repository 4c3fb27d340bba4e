"""The precision that passes are computed in; weights and gradients stay float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

__all__ = ["Precision", "choose_precision"]

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]


def choose_precision(device: torch.device, wanted: str = "auto") -> Precision:
    """Return the precision to compute passes in.

    Float16 has so small a range that gradients vanish in it: multiply the loss, by ``step(..., scale=...)``, and let
    ``torch.amp.GradScaler`` divide the gradients again and skip steps that overflow.

    Args:
        device: Where the model is.
        wanted: ``auto`` takes bfloat16 where the device computes with it, not merely imitates it, and float32
            elsewhere. Another name is taken as it is.

    Returns:
        The precision.

    Raises:
        InvalidArgumentError: There is no such precision, or it is float16 on a CPU.
    """
    if wanted == "auto":
        return "bfloat16" if _computes_bfloat16(device) else "float32"
    if wanted not in {"float32", "bfloat16", "float16"}:
        raise InvalidArgumentError(f"precision must be auto, float32, bfloat16 or float16; found {wanted!r}")
    if wanted == "float16" and device.type == "cpu":
        raise InvalidArgumentError("precision float16 needs a GPU, found a CPU: use auto, float32 or bfloat16")
    return wanted  # type: ignore[return-value]


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Other checks of torch are content with instructions that imitate it, several times slower than float32.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001
    return False
