"""Training runs, each in a process of its own, and each kept when it has ended.

Peak memory can be read once a process, and a run of minutes should not be lost to the crash of another one. What came
out of a run is one JSON file in ``.bench/finetune``; it stands for this run on this code and these packages.
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
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from ragtime.backends.encoders import SentenceTransformerEncoder
from ragtime.utils.files import write_json, write_text
from ragtime.utils.hashing import content_hash
from ragtime.utils.retrieval_sets import load_retrieval_set
from tests.benchmarks import finetune_measures as measures
from tests.benchmarks import finetune_peers as peers
from tests.benchmarks.data_quality import ndcg
from tests.benchmarks.finetune_measures import Run
from tests.benchmarks.harness import ROOT, Bench, machine

TLDR = "retrieval-tldr"
THREADS = 2
_KEPT = ROOT / ".bench" / "finetune"
_SOURCES = ("finetune_measures.py", "finetune_peers.py", "finetune_runs.py", "data_quality.py", "planning_measures.py")
_PARTS = ("backends", "config", "records", "testing", "utils")  # of ragtime; our trainer comes on top
_PACKAGES = ("numpy", "sentence-transformers", "torch", "transformers")
_TOLD = 12  # last lines of what a process said before it failed


def measured(run: Run, bench: Bench) -> Mapping[str, float]:
    """Make a run, or read what came out of it earlier.

    Args:
        run: What to do.
        bench: Names the folder of the data, and says whether what came out earlier counts.

    Returns:
        Its figures.

    Raises:
        Unavailable: The data set is not there.
        RuntimeError: The run failed; says with what.
    """
    figures = _outcome(run, bench)
    if isinstance(figures, RuntimeError):
        raise figures
    return figures


@functools.cache
def _outcome(run: Run, bench: Bench) -> Mapping[str, float] | RuntimeError:
    """Return the figures, or why there are none: a run of many rows fails once."""
    folder = bench.folder(TLDR) if run.needs_data else None
    told: dict[str, Any] = {"run": asdict(run), "packages": {name: version(name) for name in _PACKAGES}}
    code = _code(trainer=run.who in {"ragtime", "planner"})
    key = content_hash([told, code, machine(), THREADS])[:16]
    kept = _KEPT / f"{run.who}-{run.texts}-{key}.json"
    if kept.exists() and not bench.fresh:
        return dict(json.loads(kept.read_bytes())["figures"])
    told |= {"when": datetime.now(UTC).isoformat(timespec="seconds"), "load_before": psutil.getloadavg()[0]}
    try:
        figures = _in_a_process(run, folder)
    except RuntimeError as error:
        return error
    told |= {"load_after": psutil.getloadavg()[0], **machine()}
    write_text(_KEPT.parent / ".gitignore", "*\n")
    write_json(kept, {**told, "figures": figures})
    return figures


@functools.cache
def _code(*, trainer: bool) -> str:
    """Return the hash of what a run computes with: what is kept of uncommitted code is told apart, too."""
    own = [ROOT / "tests" / "benchmarks" / name for name in _SOURCES]
    parts = [*_PARTS, "services/model_finetuner"] if trainer else _PARTS
    used = [path for part in parts for path in (ROOT / "ragtime" / part).rglob("*.py")]
    digest = hashlib.sha256()
    for path in sorted([*own, *used]):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _in_a_process(run: Run, folder: Path | None) -> dict[str, float]:
    threads = {name: str(THREADS) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as place:
        result = Path(place) / "figures.json"
        told = json.dumps([asdict(run), str(folder) if folder else None, str(result)])
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.finetune_runs", told],
            cwd=ROOT,
            env={**os.environ, **threads, "HF_HUB_OFFLINE": "1"},
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode or not result.exists():
            last = " / ".join(done.stderr.strip().splitlines()[-_TOLD:])
            raise RuntimeError(f"the process of {run} ended with {done.returncode}: {last}")
        return dict(json.loads(result.read_bytes()))


def main() -> None:
    """Make one run, and write its figures; called by :func:`measured`."""
    import torch

    torch.set_num_threads(THREADS)
    fields, data, result = json.loads(sys.argv[1])
    run, folder = Run(**fields), Path(data) if data else None
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as place:
        figures, encoder = _figures(run, folder, Path(place))
        if run.ndcg and folder is not None and encoder is not None:
            figures["ndcg"] = 100 * ndcg(load_retrieval_set(folder, split="test"), encoder)
        write_json(Path(result), figures)


def _figures(run: Run, folder: Path | None, place: Path) -> tuple[dict[str, float], SentenceTransformerEncoder | None]:
    settings = measures.settings_of(place)
    if run.who == "planner":
        return measures.plan(), None
    if run.who == "nobody":
        return {}, SentenceTransformerEncoder(settings)
    pairs = measures.pairs_of(run, folder)
    if run.who == "ragtime":
        return measures.our_run(run, pairs, place)
    model = measures.base_model(run, place)
    return peers.stock_run(run, model, pairs, place), SentenceTransformerEncoder(settings, model=model)


if __name__ == "__main__":
    main()
