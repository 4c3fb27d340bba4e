"""Runs of the benchmark of quality, each in a process of its own, and each kept when it has ended.

What came out of a run is one JSON file in ``.bench/quality``, the figures of every question included: tables are put
together from such files, and a run of minutes is not lost to the crash of another one. A file stands for this run on
this code, these packages and this machine.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import psutil

from ragtime.services.model_finetuner import EvaluationResult
from ragtime.utils.files import write_json, write_text
from ragtime.utils.hashing import content_hash
from tests.benchmarks.harness import ROOT, Bench, machine
from tests.benchmarks.quality_data import MTRAG, TLDR, Questions
from tests.benchmarks.quality_recipe import Recipe

Who = Literal["ragtime", "sentence-transformers", "BM25", "untuned"]

PAGES, GENERAL, EXACT, INT8 = "pages", "general", "pages, float32", "pages, int8"
THREADS = 2
_KEPT = ROOT / ".bench" / "quality"
_SOURCES = (
    "finetune_measures.py",
    "finetune_peers.py",
    "quality_child.py",
    "quality_data.py",
    "quality_lines.py",
    "quality_measures.py",
    "quality_recipe.py",
)  # not the tables with their numbers: a number is part of the run that it makes
_COMMON = ("backends", "config", "records", "utils", "services/model_finetuner/evaluation")
_OURS = {
    "ragtime": ("services/model_finetuner", "services/training_data_gen"),
    "BM25": ("services/conversation",),
}
_NO_PART = "services/model_finetuner/exporting"
_PACKAGES = ("numpy", "peft", "sentence-transformers", "torch", "transformers")
_TOLD = 12  # last lines of what a process said before it failed


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one process does.

    Attributes:
        who: Whose trainer, or what else finds.
        recipe: Of ragtime's runs.
        questions: What is trained on: the sample of 2,048 training questions, or all of them.
        on: What is measured: the test questions, or those that ingredients are tried on.
        general: Whether the general check is measured, too, on the half that nothing was chosen by.
        eight_bits: Whether the model is measured in float32 and with int8 weights, too.
        gpu: Whether it runs on a GPU where one is at hand; what is compared in time does not, for stock does not.
        pairs: Only so many questions and about as few pages, for a look at the code; ``None`` means all.
    """

    who: Who
    recipe: Recipe | None = None
    questions: Questions = "2048"
    on: Literal["test", "dev"] = "test"
    general: bool = False
    eight_bits: bool = False
    gpu: bool = False
    pairs: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**asdict(replace(self, recipe=None)), "recipe": self.recipe and self.recipe.to_json()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        return cls(**{**told, "recipe": told["recipe"] and Recipe.from_json(told["recipe"])})


@dataclass(frozen=True)
class Outcome:
    """What came out of a run.

    Attributes:
        figures: Seconds, rows and such, by name.
        scores: How well the model finds, by what was measured: ``pages``, and where asked for ``general``, ``pages,
            float32`` and ``pages, int8``.
        notes: What the training chose by itself.
    """

    figures: Mapping[str, float]
    scores: Mapping[str, EvaluationResult]
    notes: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        scores = {name: result.model_dump(mode="json") for name, result in self.scores.items()}
        return {"figures": dict(self.figures), "notes": dict(self.notes), "scores": scores}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        scores = {name: EvaluationResult.model_validate(result) for name, result in told["scores"].items()}
        return cls(dict(told["figures"]), scores, dict(told["notes"]))


def measured(run: Run, bench: Bench) -> Outcome:
    """Make a run, or read what came out of it earlier.

    Args:
        run: What to do.
        bench: Names the folder of the data, and says whether what came out earlier counts.

    Returns:
        What came out.

    Raises:
        Unavailable: A data set is not there.
        RuntimeError: The run failed; says with what.
    """
    found = _outcome(json.dumps(replace(run, gpu=run.gpu and gpu_at_hand()).to_json()), bench)
    if isinstance(found, RuntimeError):
        raise found
    return found


@functools.cache
def gpu_at_hand() -> bool:
    """Tell whether there is a GPU."""
    import torch

    return torch.cuda.is_available()


@functools.cache
def _outcome(told_run: str, bench: Bench) -> Outcome | RuntimeError:
    """Return what came out, or why nothing did: a run of many rows fails once."""
    run = Run.from_json(json.loads(told_run))
    folders = {name: str(bench.folder(name).resolve()) for name in (TLDR, MTRAG)}
    told: dict[str, Any] = {"run": run.to_json(), "packages": {name: version(name) for name in _PACKAGES}}
    kept = _KEPT / f"{run.who}-{content_hash([told, _code(run.who), machine(), THREADS])[:16]}.json"
    if kept.exists() and not bench.fresh:
        return Outcome.from_json(json.loads(kept.read_bytes()))
    told |= {"when": datetime.now(UTC).isoformat(timespec="seconds"), "load_before": psutil.getloadavg()[0]}
    try:
        outcome = _in_a_process(run, folders)
    except RuntimeError as error:
        return error
    told |= {"load_after": psutil.getloadavg()[0], **machine()}
    write_text(_KEPT.parent / ".gitignore", "*\n")
    write_json(kept, {**told, **outcome})
    return Outcome.from_json(outcome)


@functools.cache
def _code(who: Who) -> str:
    """Return the hash of what a run computes with: what is kept of uncommitted code is told apart, too."""
    files = [ROOT / "tests" / "benchmarks" / name for name in _SOURCES]
    for part in (*_COMMON, *_OURS.get(who, ())):
        files += (ROOT / "ragtime" / part).rglob("*.py")
    digest = hashlib.sha256()
    for path in sorted(path for path in set(files) if not path.is_relative_to(ROOT / "ragtime" / _NO_PART)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _in_a_process(run: Run, folders: Mapping[str, str]) -> dict[str, Any]:
    environment = {name: str(THREADS) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    environment |= {"HF_HUB_OFFLINE": "1", **({} if run.gpu else {"CUDA_VISIBLE_DEVICES": ""})}
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as place:
        result = Path(place) / "outcome.json"
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.quality_child", json.dumps([run.to_json(), folders, str(result)])],
            cwd=ROOT,
            env={**os.environ, **environment},
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode or not result.exists():
            last = " / ".join(done.stderr.strip().splitlines()[-_TOLD:])
            raise RuntimeError(f"the process of {run} ended with {done.returncode}: {last}")
        return dict(json.loads(result.read_bytes()))
