"""Atomic files: processes that rewrite a file are killed at random moments; what was acknowledged is there, whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.torture.harness import Counts, Timer

_WRITER = """
import sys
from ragtime.utils.files import write_text
path, first = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
number = first
while True:
    number += 1
    write_text(path, f"{number}\\n" * (1 + number * 7919 % 30_000))
    print(number, flush=True)
"""


def torture(time_left: Timer, seed: int) -> Counts:
    """Kill writers of one file again and again; each goes on from what the last one left."""
    rng, counts = random.Random(seed), Counts()
    with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as folder:
        path, last = Path(folder) / "file.txt", 0
        while time_left.left:
            acknowledged = _write_and_kill(path, last, rng.uniform(0, 0.05))
            counts.killed += 1
            counts.acknowledged += acknowledged - last
            if acknowledged == last == 0:
                continue
            found = _content(path)
            counts.lost += max(0, acknowledged - found)
            last = max(found, acknowledged)
            for leftover in Path(folder).glob(".*.tmp"):
                leftover.unlink()
    return counts


def _write_and_kill(path: Path, last: int, seconds: float) -> int:
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(last)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as told:
        assert told.readline() == "ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        numbers = [line for line in told.read().splitlines(keepends=True) if line.endswith("\n")]
    process.wait()
    return int(numbers[-1]) if numbers else last


def _content(path: Path) -> int:
    lines = path.read_text(encoding="utf-8").split("\n")
    number = int(lines[0])
    whole = [str(number)] * (1 + number * 7919 % 30_000) + [""]
    if lines != whole:
        raise AssertionError(f"half-written: {len(lines)} lines of {len(whole)}")
    return number
