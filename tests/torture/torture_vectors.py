"""Vector indexes: writers that add, replace, remove and compact are killed at random moments; what counts is there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ragtime.storage.vectors import VectorIndex
from tests.torture.harness import Counts, Timer

_DIMENSION = 96

# Step n adds the ids n*100 to n*100 + n % 40, replaces the last one of step n - 1 and, sometimes, removes its first.
_WRITER = """
import sys
import numpy as np
from ragtime.storage.vectors import VectorIndex

folder, step, durability = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with VectorIndex.open(folder, dimension=96, durability=durability, memory_bytes=0) as index:
    print("ready", flush=True)
    while True:
        step += 1
        ids = [str(number) for number in range(step * 100, step * 100 + 1 + step % 40)]
        last = str((step - 1) * 100 + (step - 1) % 40)
        index.add([*ids, last], np.full((len(ids) + 1, 96), step, np.float32))
        if step % 3 == 0:
            index.remove([str((step - 1) * 100)])
        if step % 50 == 0:
            index.compact()
        print(step, flush=True)
"""


def torture(time_left: Timer, seed: int) -> Counts:
    """Kill writers of one index again and again; each goes on from what the last one left."""
    rng, counts = random.Random(seed), Counts()
    while time_left.left:
        with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as folder:
            last = 0
            while time_left.left and last < 3_000:  # vectors are few, so that opening stays quick
                durability = rng.choice(["normal", "full"])
                acknowledged = _write_and_kill(folder, last, durability, rng.uniform(0, 0.1))
                counts.killed += 1
                counts.acknowledged += acknowledged - last
                last = _check(Path(folder), acknowledged, counts)
    return counts


def _write_and_kill(folder: str, last: int, durability: str, seconds: float) -> int:
    command = [sys.executable, "-c", _WRITER, folder, str(last), durability]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:
        assert told.readline() == "ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        steps = [line for line in told.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    return int(steps[-1]) if steps else last


def _check(folder: Path, acknowledged: int, counts: Counts) -> int:
    """Compare the index with what the steps make; returns the last step that is there, acknowledged or not."""
    with VectorIndex.open(folder, dimension=_DIMENSION) as index:
        found = {int(one): vector for one, vector in zip(index.ids(), index.vectors(index.ids()), strict=True)}
        reached = max((number // 100 for number in found), default=0)
        expected = _state(reached)
        if reached % 3 == 0 and (reached - 1) * 100 in found:  # killed between adding and removing
            counts.lost += reached <= acknowledged
            index.remove([str((reached - 1) * 100)])
            del found[(reached - 1) * 100]
    counts.lost += max(0, acknowledged - reached)
    wrong = set(expected) ^ set(found)
    wrong |= {number for number in set(expected) & set(found) if not np.all(found[number] == expected[number])}
    if wrong:
        raise AssertionError(f"{len(wrong)} vectors are wrong after step {reached}, such as {min(wrong)}")
    return reached


def _state(steps: int) -> dict[int, int]:
    state: dict[int, int] = {}
    for step in range(1, steps + 1):
        state |= dict.fromkeys(range(step * 100, step * 100 + 1 + step % 40), step)
        state[(step - 1) * 100 + (step - 1) % 40] = step
        if step % 3 == 0:
            state.pop((step - 1) * 100, None)
    return state
