"""The processes of a run, and the trackers that it reports to: accelerate's, at the few places that need them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragtime.errors import FineTuningError
from ragtime.services.model_finetuner import forward
from ragtime.utils.extras import require

if TYPE_CHECKING:
    import torch
    from torch.nn import Parameter

__all__ = ["Processes"]

_PROJECT = "ragtime"


class Processes:
    """All processes that work on a run; one, unless torchrun or ``accelerate launch`` started several.

    Attributes:
        rank: Number of this one, from 0.
        count: How many there are.
    """

    def __init__(self, trackers: Iterable[str] = (), *, folder: str | Path | None = None, device: str = "auto") -> None:
        """Join the other processes.

        Args:
            trackers: Names of what figures are reported to.
            folder: Where trackers that write files put them.
            device: Where the settings want the model: ``cpu`` keeps several processes off the GPUs.

        Raises:
            MissingExtraError: accelerate is not installed.
            FineTuningError: The package of a tracker is not installed.
        """
        accelerate = require("accelerate", "finetune")
        wanted = list(trackers)
        missing = [name for name in wanted if not _is_there(name)]
        if missing:
            raise FineTuningError(f"trackers names what is not installed: pip install {' '.join(missing)}")
        # An accelerator settles for the whole process what later ones may be: a run of one process makes none.
        self._accelerator: Any = None
        self.rank, self.count = 0, 1
        several = _are_several()
        if wanted or several:
            # Told nothing, accelerate takes each of several processes without a GPU for the only one.
            on_cpu = several and (device == "cpu" or not require("torch", "finetune").accelerator.is_available())
            self._accelerator = accelerate.Accelerator(cpu=on_cpu, log_with=wanted or None, project_dir=folder)
            self.rank, self.count = int(self._accelerator.process_index), int(self._accelerator.num_processes)
        self._tracks = bool(wanted)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    @property
    def device(self) -> torch.device | None:
        """The device of this process among several; ``None`` leaves the choice to the settings."""
        return self._accelerator.device if self.count > 1 else None

    def begin_tracking(self, options: Mapping[str, Any]) -> None:
        """Open the trackers' runs.

        Args:
            options: What the run was told; only numbers, texts and booleans are reported.
        """
        if self._tracks:
            told = {name: value for name, value in options.items() if isinstance(value, str | int | float)}
            self._accelerator.init_trackers(_PROJECT, config=told)

    def report(self, figures: Mapping[str, float], step: int) -> None:
        """Report figures of a step."""
        if self._tracks:
            self._accelerator.log(dict(figures), step=step)

    def end_tracking(self) -> None:
        """Close the trackers' runs."""
        for tracker in self._accelerator.trackers if self._tracks else ():
            tracker.finish()

    def wait(self) -> None:
        """Wait until all processes have come here."""
        if self.count > 1:
            self._accelerator.wait_for_everyone()

    def agree(self, figures: Mapping[str, float]) -> Mapping[str, float]:
        """Return the figures of the main process: where devices round otherwise, all have to go the same way.

        Args:
            figures: What this process has measured, under the same names as the others.

        Returns:
            What the main process has measured.
        """
        if self.count == 1:
            return figures
        torch = require("torch", "finetune")
        own = torch.tensor([figures[name] for name in sorted(figures)], dtype=torch.float64, device=self.device)
        told = require("accelerate.utils", "finetune").broadcast(own).tolist()
        return dict(zip(sorted(figures), told, strict=True))

    @property
    def sharing(self) -> forward.Processes:
        """How these processes share the passes of a batch."""
        return forward.Processes(rank=self.rank, count=self.count, total=self._total)

    def _total(self, tensor: torch.Tensor) -> torch.Tensor:
        if self.count == 1:
            return tensor
        total: torch.Tensor = self._accelerator.reduce(tensor, reduction="sum")
        return total

    def sum_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Add up the gradients of all processes, so that each has the sum."""
        if self.count > 1:
            torch = require("torch", "finetune")
            for weight in parameters:
                own = weight.grad if weight.grad is not None else torch.zeros_like(weight)
                weight.grad = self._total(own)


def _are_several() -> bool:
    """Tell whether a launcher has started this process as one of several, or somebody has joined them already."""
    distributed = require("torch.distributed", "finetune")
    joined = distributed.is_available() and distributed.is_initialized()
    return joined or int(os.environ.get("WORLD_SIZE", "1")) > 1


def _is_there(name: str) -> bool:
    tracking = require("accelerate.tracking", "finetune")
    return bool(getattr(tracking, f"is_{name}_available")())
