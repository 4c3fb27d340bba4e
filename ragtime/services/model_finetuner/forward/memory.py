"""How much memory the graph of a pass takes, and how much there is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ragtime.services.model_finetuner.planning.rows import Numbers
else:
    np = LazyModule("numpy")
    torch = LazyModule("torch")

__all__ = ["GraphCost", "available_memory", "is_out_of_memory", "measure_graphs"]

_FALLBACK = 4 * 2**30  # bytes, where a system does not tell
_SHORTER = 4  # the second length that is measured: a quarter of the first
_CGROUP = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


@dataclass(frozen=True, slots=True)
class GraphCost:
    """Memory of what a forward pass keeps for its backward pass.

    Attributes:
        token: Bytes of each token.
        pair: Bytes of each pair of tokens of one text: attention weights, where they are kept.
    """

    token: int
    pair: int = 0

    def of(self, texts: int, length: int) -> int:
        """Return the bytes of a pass of so many texts, padded to this length."""
        return texts * length * (self.token + self.pair * length)


def measure_graphs(forward: Callable[[Numbers], torch.Tensor], lengths: Numbers) -> GraphCost:
    """Measure what passes keep for their backward passes, by four very small ones.

    Args:
        forward: Computes the embeddings of texts, given their numbers, in one pass with a graph.
        lengths: Tokens of each text; at least one text.

    Returns:
        The cost of a token and of a pair of tokens.
    """
    longest = int(np.argmax(lengths))
    shorter = int(np.argmin(np.abs(lengths - lengths[longest] // _SHORTER)))
    # What a second text adds; what is kept once a pass, such as converted weights, falls out.
    long, short = (_added(forward, text) / int(lengths[text]) for text in (longest, shorter))
    distance = int(lengths[longest] - lengths[shorter])
    pair = max(0.0, (long - short) / distance) if distance else 0.0
    return GraphCost(token=max(1, round(long - pair * int(lengths[longest]))), pair=round(pair))


def _added(forward: Callable[[Numbers], torch.Tensor], text: int) -> int:
    one, two = (_kept(forward, np.full(count, text, np.int64)) for count in (1, 2))
    return max(0, two - one)


def _kept(forward: Callable[[Numbers], torch.Tensor], numbers: Numbers) -> int:
    """Return the bytes that a graph keeps alive, parameters included."""
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor  # kept by the graph, so that no address comes twice

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward(numbers)
    total = sum(storages.values())
    del output
    return total


def available_memory(device: torch.device) -> int:
    """Return the bytes that can still be had on a device: for a CPU within the limits of the container, too."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch holds in reserve is free for tensors, too.
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    found = [_host_memory()]
    for limit, used in _CGROUP:
        numbers = _number(limit), _number(used)
        if numbers[0] is not None and numbers[1] is not None:
            found.append(max(0, numbers[0] - numbers[1]))
    return min(found)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory did not suffice, as each device says it in its own way."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in message or "can't allocate memory" in message)


def _host_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (OSError, ValueError, AttributeError):
        pass  # no Linux
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (OSError, ValueError, AttributeError):
        return _FALLBACK


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # not there, or "max"
        return None
