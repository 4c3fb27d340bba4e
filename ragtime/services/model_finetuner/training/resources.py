"""What a run takes: memory of the process and of the device, and how busy the GPU is."""

from __future__ import annotations

import resource
import sys
from typing import TYPE_CHECKING

from ragtime.utils.extras import require

if TYPE_CHECKING:
    import torch

__all__ = ["GpuUtilisation", "peak_device_bytes", "peak_host_bytes"]

_PERCENT = 100


def peak_host_bytes() -> int:
    """Return the most memory that the process has had since it began."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_device_bytes(device: torch.device) -> int | None:
    """Return the most memory that tensors have had on a GPU since the process began; ``None`` for other devices."""
    if device.type != "cuda":
        return None
    return int(require("torch", "finetune").cuda.max_memory_allocated(device))


class GpuUtilisation:
    """The mean of what NVML says at each step."""

    def __init__(self, device: torch.device) -> None:
        """Look whether NVML can be asked.

        Args:
            device: The device; only of CUDA devices is there anything to know.
        """
        self._device = device
        self._sum, self._samples = 0.0, 0
        self._there = device.type == "cuda"

    def sample(self) -> None:
        """Ask once; when that fails, as without the package ``nvidia-ml-py``, never again."""
        if self._there:
            try:
                self._sum += require("torch", "finetune").cuda.utilization(self._device) / _PERCENT
                self._samples += 1
            except (ImportError, RuntimeError):  # no package, or a driver that does not answer
                self._there = False

    @property
    def mean(self) -> float | None:
        """The mean share of time, 0 to 1; ``None`` when nothing is known."""
        return self._sum / self._samples if self._samples else None
