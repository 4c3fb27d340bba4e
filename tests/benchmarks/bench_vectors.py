"""Exact search of the ten nearest of 384-dimensional vectors, beside plain numpy in processes of one and two threads.

A row is a process of its own, started when it is first sampled: the number of BLAS threads is read when numpy loads.
The processes wait in turn, so that one is measured at a time.
"""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.harness import Area, Bench, Limit, Row

COUNTS = {"10k": 10_000, "100k": 100_000, "1M": 1_000_000}
DIMENSION = 384
BATCH = 32
_REPEATS = {"10k": 200, "100k": 40, "1M": 6}

_SERVER = """
import pathlib, statistics, sys, time
import numpy as np

folder, who, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
vectors = np.load(pathlib.Path(folder) / f"{count}.npy")
queries = np.load(pathlib.Path(folder) / "queries.npy")
names = [f"{number:07}" for number in range(count)]

def top(scores):
    best = np.argpartition(scores, -10)[-10:]
    best = best[np.argsort(-scores[best])]
    return list(zip([names[row] for row in best.tolist()], scores[best].tolist()))

def numpy_search(asked):
    return [top(vectors @ asked)] if asked.ndim == 1 else [top(row) for row in asked @ vectors.T]

if who == "numpy":
    search = numpy_search
else:
    from ragtime.storage.vectors import VectorIndex
    if who == "memory":
        index = VectorIndex(vectors.shape[1])
        index.add(names, vectors)
    else:
        place = pathlib.Path(folder) / f"index-{count}"
        if not place.exists():
            with VectorIndex.open(place, dimension=vectors.shape[1]) as index:
                index.add(names, vectors)
        index = VectorIndex.open(place, dimension=vectors.shape[1], memory_bytes=0, read_only=True)
    search = lambda asked: index.search(asked, 10)
    for asked in (queries[0], queries[:3]):
        expected = numpy_search(asked)
        assert [[hit[0] for hit in hits] for hits in search(asked)] == [[hit[0] for hit in hits] for hits in expected]
    if who != "memory":
        del vectors

print("ready", flush=True)
for line in sys.stdin:
    size, repeats = map(int, line.split())
    search(queries[0] if size == 1 else queries[:size])
    seconds = []
    for number in range(repeats):
        first = number * size % (len(queries) - size + 1)
        asked = queries[first] if size == 1 else queries[first : first + size]
        start = time.perf_counter()
        search(asked)
        seconds.append(time.perf_counter() - start)
    print(1000 * statistics.median(seconds) / size, flush=True)
"""


@functools.cache
def _folder() -> Path:
    import numpy as np

    holder = tempfile.TemporaryDirectory(prefix="ragtime-bench-")
    atexit.register(holder.cleanup)
    rng = np.random.default_rng(384)
    for name, count in (("queries", 256), *((str(count), count) for count in COUNTS.values())):
        vectors = rng.standard_normal((count, DIMENSION), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        np.save(Path(holder.name) / f"{name}.npy", vectors)
    return Path(holder.name)


@functools.cache
def _server(who: str, count: int, threads: int | None) -> subprocess.Popen[str]:
    limits = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    environment = {**os.environ, **(limits if threads else {})}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, _folder(), who, str(count)],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(process.kill)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"the process of {who} with {count} vectors did not start")
    return process


def _milliseconds(_: Bench, who: str, size: str, threads: int | None, queries: int) -> float:
    process = _server(who, COUNTS[size], threads)
    assert process.stdin is not None
    assert process.stdout is not None
    time.sleep(0.3)  # until the BLAS threads of the process before have stopped spinning for more work
    repeats = _REPEATS[size] if queries == 1 else max(2, _REPEATS[size] // 10)
    process.stdin.write(f"{queries} {repeats}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def _row(size: str, queries: int, label: str, who: str, threads: int | None, package: str | None) -> Row:
    case = f"{size}, " + ("one query" if queries == 1 else f"{queries} queries")
    sample = functools.partial(_milliseconds, who=who, size=size, threads=threads, queries=queries)
    return Row(case, label, sample, "ms/query", package, rounds=7)


def _against_numpy(case: str, who: str) -> Limit:
    return Limit(
        f"{case}, {who}: × the better numpy",
        lambda median: (
            median[f"{case} | {who}"] / min(median[f"{case} | numpy, {n} thread{'s'[: n - 1]}"] for n in (1, 2))
        ),
        at_most=1.3,
    )


def _from_batching(size: str, who: str) -> Limit:
    return Limit(
        f"{size}, {who}: one query × that of a batch",
        lambda median: median[f"{size}, one query | {who}"] / median[f"{size}, {BATCH} queries | {who}"],
        at_least=3,
    )


_OURS = ("ragtime", "ragtime, memory-mapped")

AREA = Area(
    title="Exact vector search",
    about="The 10 nearest of random unit vectors of 384 dimensions; milliseconds for each query, median of 6 to 200 "
    "searches a sample, 7 samples in turn, each row in a process of its own. Mapped: memory_bytes=0, files in the page "
    "cache; of 10k vectors all are in the last block, which is never mapped.",
    rows=[
        _row(size, queries, *entry)
        for size in COUNTS
        for queries in (1, BATCH)
        for entry in (
            ("ragtime", "memory", None, "ragtime-gal"),
            ("ragtime, memory-mapped", "mapped", None, None),
            ("numpy, 1 thread", "numpy", 1, "numpy"),
            ("numpy, 2 threads", "numpy", 2, "numpy"),
        )
    ],
    limits=[
        *(_against_numpy(f"{size}, one query", who) for size in COUNTS for who in _OURS),
        *(_from_batching(size, who) for size in ("100k", "1M") for who in _OURS),
    ],
)
