"""Runs of several processes, and runs in processes that differ: the same weights come out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragtime.services.model_finetuner import FineTuningMetrics
from tests.services.model_finetuner.killed_runs import hashes_of

pytestmark = [pytest.mark.models, pytest.mark.slow]

_ROOT = Path(__file__).parents[4]
_PROGRAM = Path(__file__).with_name("run_of_processes.py")


def _run(folder: Path, *arguments: str, processes: int = 1, **environment: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    return subprocess.run(
        [sys.executable, *launcher, str(_PROGRAM), str(folder), *arguments],
        env={**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def _told(folder: Path, rank: int = 0) -> FineTuningMetrics:
    return FineTuningMetrics.model_validate_json((folder / f"told-{rank}.json").read_bytes())


def test_two_processes_give_the_weights_of_one(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder, processes in ((alone, 1), (together, 2)):
        done = _run(folder, processes=processes)
        assert done.returncode == 0, done.stderr
    assert _told(together, 0) == _told(together, 1)
    assert len([path for path in together.iterdir() if path.is_dir() and path.name not in {"runs", "data"}]) == 1
    one, two = (load_file(_told(folder).model_path / "model.safetensors") for folder in (alone, together))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5


def test_when_one_process_dies_the_other_one_does_not_wait_for_ever(tmp_path: Path) -> None:
    done = _run(tmp_path / "run", "1", processes=2)
    assert done.returncode != 0
    assert not list((tmp_path / "run").glob("told-*"))
    assert _run(tmp_path / "again").returncode == 0


def test_the_seed_of_hashes_changes_no_weight(tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder, seed in zip(folders, ("1", "2"), strict=True):
        done = _run(folder, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
    assert hashes_of(_told(folders[0]).model_path) == hashes_of(_told(folders[1]).model_path)
