"""One process of a run, for torchrun: trains a tiny model, and writes down what it is told of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from ragtime.config.settings import Settings
from ragtime.services.model_finetuner import FineTuningConfig, ModelFineTuner
from ragtime.testing import tiny_model
from tests.services.model_finetuner.killed_runs import rows_of

_DIES_IN = 6  # its pass of this number


def main(folder: Path, dying: str | None = None) -> None:
    """Train; the process whose rank is `dying` ends in the middle of a step."""
    torch.set_num_threads(1)
    rank = os.environ.get("RANK", "0")
    model = (
        tiny_model()
    )  # before the processes have joined, after which only the main one writes the files it is made of
    passes = 0

    def count(*_: object) -> None:
        nonlocal passes
        passes += 1
        if rank == dying and passes == _DIES_IN:
            os._exit(3)

    model[0].register_forward_pre_hook(count)
    fields: dict[str, Any] = {"num_epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "precision": "float32"}
    config = FineTuningConfig(
        **fields, max_seq_length=32, dropout=0.0, validation_split=0.25, evaluation_steps=2, output_dir=folder
    )
    settings = Settings.isolated(data_dir=folder / "data", logging__progress="off", embedding__device="cpu")
    metrics = ModelFineTuner(config, settings=settings, model_loader=lambda _: model).train(rows_of())
    (folder / f"told-{rank}.json").write_text(metrics.model_dump_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
