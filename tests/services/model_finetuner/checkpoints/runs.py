"""A small real training run, whose state is what checkpoints are made of."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from ragtime.services.model_finetuner.checkpoints import (
    TrainingState,
    capture_random_states,
    fingerprint,
    restore_random_states,
)

PRINTS = fingerprint(config={"optimizer": "adamw", "learning_rate": 0.01}, data={"rows": 8})

OPTIMIZERS: dict[str, Any] = {
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01, betas=(0.8, 0.99), amsgrad=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1),
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.01),
    "sgd with momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True),
}


class Run:
    """A model with dropout, two groups of weights, an optimizer and a schedule."""

    def __init__(self, optimizer: str = "adamw") -> None:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        first, last = list(self.model[0].parameters()), list(self.model[2].parameters())
        self.optimizer = OPTIMIZERS[optimizer]([{"params": first, "lr": 0.05}, {"params": last}])
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=50)
        self.cursor = 0

    def train(self, steps: int) -> None:
        for _ in range(steps):
            batch = torch.sin(torch.arange(8.0).reshape(2, 4) + self.cursor)
            self.optimizer.zero_grad()
            self.model(batch).square().mean().backward()
            self.optimizer.step()
            self.schedule.step()
            self.cursor += 1

    def state(self) -> TrainingState:
        parts = {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "progress": {"cursor": self.cursor, "best": None, "evaluations_without_improvement": 2},
            "random": capture_random_states(),
        }
        return TrainingState(parts, PRINTS)

    def restore(self, state: TrainingState) -> None:
        parts: Any = state.parts
        self.model.load_state_dict(parts["model"])
        self.optimizer.load_state_dict(parts["optimizer"])
        self.schedule.load_state_dict(parts["schedule"])
        self.cursor = parts["progress"]["cursor"]
        restore_random_states(parts["random"])


def numbered(number: int, size: int = 16) -> TrainingState:
    """Return a state that tells which one it is in its tensor as well as in its JSON."""
    return TrainingState({"model": {"weight": torch.full((size,), float(number))}, "progress": {"step": number}})


def number_of(state: TrainingState) -> int:
    """Return the number of a state, which must be the same in tensor and JSON."""
    parts: Any = state.parts
    number: int = parts["progress"]["step"]
    assert (parts["model"]["weight"] == number).all()
    return number


def same(one: object, other: object) -> bool:
    """Tell whether two trees are equal in values and types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, dict):
        assert isinstance(other, dict)
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)  # noqa: PLR0124 - not a number


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let writing fail at `size` bytes, as on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def names(folder: Path) -> list[str]:
    """Return the names in the folder of a store, without its lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != "lock")
