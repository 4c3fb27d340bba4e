"""What generation costs without a language model: seconds by stage, memory above start, and bytes on disk.

Each measurement is a process of its own, for peak memory can only be read once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ragtime.config.settings import Settings
from ragtime.records import Document
from ragtime.services.training_data_gen import TrainingDataGenerator, TrainingExample
from ragtime.utils.standard_library import standard_library_documents

_STRATEGY = "synthetic"
_WARM_UP = 100


@dataclass(frozen=True)
class Made:
    """What a run took.

    Attributes:
        examples: How many examples came out.
        seconds: Wall-clock time from the reading of the documents to the last example.
        stages: The same by stage, on this side of the first and the last one, too: ``the rest``.
        mebibytes: Peak memory above that of the process before the run, everything loaded.
        anonymous_mebibytes: The same at the last example, but for pages of files, such as the deduplication index.
        index_bytes: Disk space of the deduplication index at the last example, for each example.
    """

    examples: int
    seconds: float
    stages: Mapping[str, float]
    mebibytes: float
    anonymous_mebibytes: float
    index_bytes: float


def generation_cost(corpus: Path | None, count: int, *, workers: int = 1) -> Made:
    """Measure one run of the whole pipeline, with its checks but for the round trip, in a process of its own.

    Args:
        corpus: A file of documents; ``None`` means the documentation of the standard library.
        count: How many examples.
        workers: Threads.

    Returns:
        What it took.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.generation_measures", str(corpus or ""), str(count), str(workers)],
        cwd=Path(__file__).resolve().parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    return Made(**json.loads(done.stdout.splitlines()[-1]))


@cache
def library_documents() -> list[Document]:
    """Return the documentation of the standard library."""
    return standard_library_documents(20_000, per_module=1000)


def generator_of(corpus: Path | None, folder: Path, **options: Any) -> TrainingDataGenerator:
    """Return a generator that makes examples of documents.

    Args:
        corpus: As for :func:`generation_cost`.
        folder: Where its files go.
        **options: Settings of section ``training_data``; the round trip is off.

    Returns:
        The generator.
    """
    chosen = {f"training_data__{name}": value for name, value in {"round_trip_rank": 0, **options}.items()}
    settings = Settings.isolated(data_dir=folder, logging__progress="off", conport__mode="off", **chosen)
    return TrainingDataGenerator(settings, documents=corpus or library_documents())


def generated(corpus: Path | None, count: int) -> list[TrainingExample]:
    """Make examples."""
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as folder:
        return list(generator_of(corpus, Path(folder)).iter_training_data(count, _STRATEGY))


def _measured(corpus: Path | None, count: int, workers: int, folder: Path) -> Made:
    made, index_bytes, anonymous = 0, 0, 0.0
    with generator_of(corpus, folder, workers=workers) as generator:
        start = time.perf_counter()
        for made, _ in enumerate(generator.iter_training_data(count, _STRATEGY), 1):
            if made == count:
                index_bytes = sum(file.stat().st_size for file in folder.rglob("*.index/**/*") if file.is_file())
                anonymous = _mebibytes("RssAnon")
        seconds = time.perf_counter() - start
        stages = dict(generator.metrics.performance.stage_seconds)
    if made < count:
        raise RuntimeError(f"the documents give {made} of {count} examples")
    stages["the rest"] = seconds - sum(stages.values())
    return Made(made, seconds, stages, _mebibytes("VmHWM"), anonymous, index_bytes / made)


def _mebibytes(name: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{name}:")) / 1024


def main() -> None:
    """Measure one run, and print what it took; called by :func:`generation_cost`."""
    corpus = Path(sys.argv[1]) if sys.argv[1] else None
    count, workers = map(int, sys.argv[2:4])
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as folder:
        _measured(corpus, _WARM_UP, workers, Path(folder))  # everything is loaded
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    peak, anonymous = _mebibytes("VmHWM"), _mebibytes("RssAnon")
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as folder:
        made = _measured(corpus, count, workers, Path(folder))
    above = {"mebibytes": made.mebibytes - peak, "anonymous_mebibytes": made.anonymous_mebibytes - anonymous}
    print(json.dumps({**asdict(made), **above}))


if __name__ == "__main__":
    main()
