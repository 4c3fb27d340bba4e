"""Where a local model runs, in which precision, and loading it without a word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.errors import BackendError
from ragtime.utils.extras import require

if TYPE_CHECKING:
    import torch

__all__ = ["choose_device", "choose_dtype", "quiet_loading"]


def choose_device(requested: str = "auto") -> str:
    """Choose the device of a local model.

    Args:
        requested: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    Returns:
        The device; for ``auto`` CUDA before MPS before the CPU.

    Raises:
        BackendError: The device asked for is not on this machine.
        MissingExtraError: torch is not installed.
    """
    torch = require("torch", "embeddings")
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if requested == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, number = requested.partition(":")
    there = {"cuda": cuda and int(number or 0) < torch.cuda.device_count(), "mps": mps, "cpu": True}
    if not there.get(kind, False):
        found = [name for name, available in (("cuda", cuda), ("mps", mps), ("cpu", True)) if available]
        raise BackendError(f"There is no device {requested!r} here; there is {', '.join(found)}. Use 'auto' to choose.")
    return requested


def choose_dtype(requested: str = "auto", device: str = "cpu") -> torch.dtype:
    """Choose the precision of a local model's weights.

    Args:
        requested: ``auto``, ``float32``, ``float16`` or ``bfloat16``.
        device: Where the model runs.

    Returns:
        The dtype. ``auto`` means bfloat16 on a GPU that has it and float16 on another; on a CPU bfloat16 only where the
        processor multiplies matrices in it (AMX), because without that it is emulated and slower; else float32.

    Raises:
        MissingExtraError: torch is not installed.
    """
    torch = require("torch", "embeddings")
    if requested != "auto":
        return getattr(torch, requested)  # type: ignore[no-any-return]
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16  # type: ignore[no-any-return]
    native = device == "cpu" and "amx_bf16" in _cpu_flags()
    return torch.bfloat16 if native else torch.float32  # type: ignore[no-any-return]


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep transformers from drawing bars of its own while weights are read or written in the ``with`` block."""
    talk = require("transformers.utils.logging", "embeddings")
    shown = talk.is_progress_bar_enabled()
    talk.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            talk.enable_progress_bar()


def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux: nothing is known, so nothing is promised
        return frozenset()
    return frozenset(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())
