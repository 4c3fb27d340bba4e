"""Where a local model runs, in which precision, and loading it without a word."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ragtime.errors import InvalidArgumentError
from ragtime.utils.extras import require

_TALKATIVE = ("torchao", "torch.utils._pytree", "transformers", "sentence_transformers")

__all__ = ["choose_device", "choose_dtype", "quiet_loading"]


def choose_device(torch: Any, wanted: str) -> str:
    """Return the device to use: CUDA before MPS before the CPU, or the one that is wanted.

    Args:
        torch: The module.
        wanted: ``auto`` or the name of a device.

    Returns:
        The name of a device that is there.

    Raises:
        InvalidArgumentError: The wanted one is not.
    """
    kind, _, number = wanted.partition(":")
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if kind == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    if kind not in {"cpu", "mps", "cuda"} or (number and not number.isdecimal()):
        raise InvalidArgumentError(f"device must be auto, cpu, mps, cuda or cuda:N; found {wanted!r}")
    if (
        (kind == "cuda" and not cuda)
        or (kind == "mps" and not mps)
        or (kind == "cuda" and number and int(number) >= torch.cuda.device_count())
    ):
        there = [name for name, found in (("cuda", cuda), ("mps", mps), ("cpu", True)) if found]
        raise InvalidArgumentError(f"There is no device {wanted!r} here; there is {', '.join(there)}; use 'auto'")
    return wanted


def choose_dtype(torch: Any, device: str, wanted: str, stored: object) -> Any:
    """Return the precision to use.

    Args:
        torch: The module.
        device: The device that the model runs on.
        wanted: ``auto`` keeps the weights as they are stored where the device computes well with that; else float16 on
            a GPU and float32 on a CPU. Another name is taken as it is.
        stored: Precision of the stored weights, or its name; ``None`` when it is not known.

    Returns:
        The precision, a ``torch.dtype``.

    Raises:
        InvalidArgumentError: There is no such precision.
    """
    stored = getattr(torch, stored, stored) if isinstance(stored, str) else stored  # as config.json writes it
    names = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if wanted != "auto":
        if wanted not in names:
            raise InvalidArgumentError(f"dtype must be auto, {', '.join(names)}; found {wanted!r}")
        return names[wanted]
    if stored == torch.bfloat16 and _has_bfloat16(torch, device):
        return torch.bfloat16
    return torch.float16 if stored in {torch.float16, torch.bfloat16} and device != "cpu" else torch.float32


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep the packages below from talking while they are imported and weights are read or written in the block.

    Transformers draws progress bars of its own, and torchao warns of parts that this machine has no use for.
    """
    levels = {name: logging.getLogger(name).level for name in _TALKATIVE}
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        talk = require("transformers.utils.logging", "embeddings")
        shown = talk.is_progress_bar_enabled()
        talk.disable_progress_bar()
        try:
            yield
        finally:
            if shown:
                talk.enable_progress_bar()
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _has_bfloat16(torch: Any, device: str) -> bool:
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "mps":
        return bool(torch.backends.mps.is_macos_or_newer(14, 0))
    # Without the instructions torch emulates them, several times slower than float32.
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) if torch.backends.mkldnn.is_available() else False  # noqa: SLF001
