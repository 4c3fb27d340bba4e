"""The random states that a forward pass draws from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from torch import Tensor, device

__all__ = ["PassRandomness"]


@dataclass(frozen=True, slots=True, eq=False)
class PassRandomness:
    """What dropout would draw next, on the CPU and on the device of the model.

    Attributes:
        host: State of torch's generator on the CPU.
        own: State of the device's generator; ``None`` where the device is the CPU.
    """

    host: Tensor
    own: Tensor | None

    @classmethod
    def capture(cls, device: device) -> Self:
        """Take down the states of this moment."""
        import torch  # noqa: PLC0415 - heavy

        own = None
        if device.type == "cuda":
            own = torch.cuda.get_rng_state(device)
        elif device.type == "mps":
            own = torch.mps.get_rng_state()
        return cls(torch.get_rng_state(), own)

    def restore(self, device: device) -> None:
        """Go back to that moment."""
        import torch  # noqa: PLC0415 - heavy

        torch.set_rng_state(self.host)
        if self.own is not None and device.type == "cuda":
            torch.cuda.set_rng_state(self.own, device)
        elif self.own is not None:
            torch.mps.set_rng_state(self.own)
