"""The embedding cache: processes that fill one file are killed at random moments; what was acknowledged is there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ragtime.storage.embedding_cache import EmbeddingCache
from tests.torture.harness import Counts, Timer

_WRITER = """
import sys
import numpy as np
from ragtime.storage.embedding_cache import EmbeddingCache
cache, number = EmbeddingCache(sys.argv[1], max_bytes=10**9), 0
print("ready", flush=True)
while True:
    texts = [f"{sys.argv[2]}-{number}-{each}" for each in range(20)]
    cache.put("f", {text: np.full(16, number, dtype=np.float32) for text in texts})
    print(number, flush=True)
    number += 1
"""
_PROCESSES = 3


def torture(time_left: Timer, seed: int) -> Counts:
    """Let three processes fill one cache, kill them, and look for everything they acknowledged."""
    rng, counts = random.Random(seed), Counts()
    with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as folder:
        path, round_number = Path(folder) / "cache.sqlite", 0
        while time_left.left:
            round_number += 1
            names = [f"{round_number}-{number}" for number in range(_PROCESSES)]
            processes = [_start(path, name) for name in names]
            time.sleep(rng.uniform(0, 0.3))
            for process in processes:
                process.send_signal(signal.SIGKILL)
            counts.killed += _PROCESSES
            for name, process in zip(names, processes, strict=True):
                counts = _check(path, name, process, counts)
    return counts


def _start(path: Path, name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path), name], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _check(path: Path, name: str, process: subprocess.Popen[str], counts: Counts) -> Counts:
    assert process.stdout is not None
    with process.stdout as told:
        numbers = [int(line) for line in told.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    texts = [f"{name}-{number}-{each}" for number in numbers for each in range(20)]
    with EmbeddingCache(path, max_bytes=10**9) as cache:
        cache.check()
        found = cache.get("f", texts, dimension=16)
    counts.acknowledged += len(texts)
    counts.lost += len(texts) - len(found)
    if any(found[text][0] != int(text.split("-")[2]) for text in found):
        raise AssertionError("a vector of another text")
    return counts
