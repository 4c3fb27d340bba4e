"""How several processes share the passes of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragtime.errors import InvalidArgumentError

if TYPE_CHECKING:
    from torch import Tensor

    from ragtime.services.model_finetuner.planning.rows import Numbers

__all__ = ["Processes"]


def _alone(tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """The processes that take the same steps.

    Each computes some of the passes, all of them know all embeddings and the whole loss, and each sends backward what
    belongs to its own passes.

    Attributes:
        rank: Number of this process, from 0.
        count: How many there are.
        total: Adds a tensor up over all processes and returns the sum, to each of them, as
            ``torch.distributed.all_reduce`` does.

    Raises:
        InvalidArgumentError: There is no process of this number.
    """

    rank: int = 0
    count: int = 1
    total: Callable[[Tensor], Tensor] = _alone

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.count:
            raise InvalidArgumentError(f"rank must be 0 to {self.count - 1}, found {self.rank}")

    def share(self, passes: Sequence[Numbers]) -> Sequence[Numbers]:
        """Return the passes of this process: about as much work as the others have, where the largest come first."""
        return passes[self.rank :: self.count]
