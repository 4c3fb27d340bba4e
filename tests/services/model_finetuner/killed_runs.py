"""Training runs in processes of their own, which can be killed; children of a server that has the packages loaded."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import random
import signal
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ragtime.config.settings import Settings
from ragtime.services.model_finetuner import FineTuningConfig, ModelFineTuner

CASES: Mapping[str, Mapping[str, Any]] = {
    "full": {"strategy": "full"},
    "lora": {"strategy": "lora", "lora_rank": 4},
    "head": {"strategy": "adapter", "optimizer": "sgd"},
    "ia3": {"strategy": "adapter", "adapter_method": "ia3", "learning_rate": 0.05},
    "quantized": {"strategy": "quantized", "gradient_cache": "on"},
}
"""Strategies, and what else there is to lose: the state of two optimizers, and the choice of computing in parts."""

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["sentence_transformers", "peft", "accelerate", "scipy.stats", "ragtime.services.model_finetuner.training.run"]
)
_THINGS = "lamp chair table cloth switch garden window carpet kettle mirror".split()
_KINDS = "red green small round heavy old".split()


def rows_of(count: int = 60) -> list[tuple[str, str]]:
    """Return pairs of a question and its answer, each about something else."""
    about = [f"{kind} {thing}" for thing in _THINGS for kind in _KINDS][:count]
    return [(f"where is the {one}?", f"the {one} stands in room {number}") for number, one in enumerate(about)]


def config_of(case: str, folder: Path) -> FineTuningConfig:
    """Return the configuration of a case: dropout, accumulation, and a checkpoint after each step."""
    fields: dict[str, Any] = {
        "num_epochs": 2,
        "batch_size": 8,
        "gradient_accumulation_steps": 2,
        "dropout": 0.1,
        "evaluation_steps": 3,
        "save_steps": 1,
        "learning_rate": 1e-3,
        "precision": "float32",
        "early_stopping_patience": 50,
        "validation_split": 0.2,
        "max_seq_length": 32,
        "output_dir": folder,
        **CASES[case],
    }
    return FineTuningConfig(**fields)


def train(case: str, folder: Path) -> Path:
    """Train a tiny model, and return the folder of the tuned one."""
    from ragtime.testing import tiny_model

    settings = Settings.isolated(data_dir=folder / "data", logging__progress="off")
    tuner = ModelFineTuner(config_of(case, folder), settings=settings, model_loader=lambda _: tiny_model())
    return tuner.train(rows_of()).model_path


def hashes_of(model: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of weights."""
    return {
        path.relative_to(model).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(model.rglob("*.safetensors"))
    }


def train_alone(case: str, folder: Path) -> tuple[dict[str, str], float]:
    """Let a run come to its end; return the hashes of its weights and the seconds that it took."""
    process, told = _started(case, folder)
    begin = time.monotonic()
    model = told.recv()
    process.join()
    assert process.exitcode == 0
    return hashes_of(Path(model)), time.monotonic() - begin


def train_killed(
    case: str, folder: Path, rng: random.Random, *, seconds: float, kills: int
) -> tuple[dict[str, str], int]:
    """Kill a run at random moments, so often or until it is faster, then let it come to its end.

    Args:
        case: The case.
        folder: Where it works.
        rng: Chooses the moments.
        seconds: How long a run takes that is left alone.
        kills: How often to kill it.

    Returns:
        The hashes of the weights that it ended with, and how often it was killed.
    """
    killed = 0
    while killed < kills:
        process, told = _started(case, folder)
        time.sleep(rng.uniform(0.0, seconds))
        process.kill()
        process.join()
        if _has_ended(told):
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
    return train_alone(case, folder)[0], killed


def _started(case: str, folder: Path) -> tuple[BaseProcess, Connection]:
    """Start a run, and wait until its process has been born."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(case, folder, theirs))
    process.start()
    theirs.close()
    assert ours.recv() == "ready"
    return process, ours


def _has_ended(told: Connection) -> bool:
    with contextlib.suppress(EOFError):  # it never will say so
        return told.poll() and bool(told.recv())
    return False


def _run(case: str, folder: Path, told: Connection) -> None:
    told.send("ready")
    told.send(str(train(case, folder)))
