"""Training data: random splits, killed runs, and equal runs at the same time.

Three parts take turns:

- Random data sets are split: no group stands in two parts, and a share that is missed is told.
- A run of all strategies with a slow language model is killed at random moments until it comes to its end: its data set
  has the bytes of one that nobody killed, and no working file is left.
- Several equal runs start at once, some of them are killed: the data set has the same bytes.
"""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.services.training_data_gen.splitting_cases import check_split
from tests.torture.harness import Counts, Timer

_SPLITS = 300
_KILLS = 6  # of one run, before it may end
_TOGETHER = 3

_RUN = """
import sys, time
from pathlib import Path
from ragtime.testing import ScriptedGenerator
from tests.services.training_data_gen.real_sources import STRATEGIES, generator_of, real_sources

class Slow(ScriptedGenerator):
    model_name = "slow"

def answer(call):
    time.sleep(float(sys.argv[2]))
    return '["Which switch belongs to this lamp?", "How is the cloth used here?"]'

folder = Path(sys.argv[1])
workers = int(sys.argv[3])
generator = generator_of(folder, real_sources(20), generator=Slow(answer), training_data__workers=workers)
print("ready", flush=True)
generator.generate_dataset(50, STRATEGIES, folder=folder / "out")
"""


def torture(time_left: Timer, seed: int) -> Counts:
    """Let the parts take turns until the time is up."""
    rng, counts = random.Random(seed), Counts()
    _split(rng, counts)  # however little time there is
    with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as folder:
        whole = Path(folder) / "whole"
        _end(_start(whole, 0.0, 1))
        wanted = digest_of(whole / "out")
        number = 0
        while time_left.left:
            _split(rng, counts)
            number += 1
            counts.killed += _kill_until_done(Path(folder) / f"killed-{number}", wanted, rng, time_left)
            counts.acknowledged += len(wanted)
            if time_left.left:
                counts.killed += _run_together(Path(folder) / f"together-{number}", wanted, rng)
                counts.acknowledged += len(wanted)
    return counts


def _split(rng: random.Random, counts: Counts) -> None:
    for _ in range(_SPLITS):
        check_split(rng.randrange(2**32))
    counts.inputs += _SPLITS


def digest_of(folder: Path) -> dict[str, str]:
    """Return the hash of each file of a data set, but for that of durations."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def _kill_until_done(folder: Path, wanted: dict[str, str], rng: random.Random, time_left: Timer) -> int:
    kills = 0
    while kills == 0 or (kills < _KILLS and time_left.left):
        run = _start(folder, 0.004, rng.choice([1, 2, 4]))
        assert run.stdout is not None
        run.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.8))
        run.send_signal(signal.SIGKILL)
        if _code(run) == 0:
            break
        kills += 1
    else:
        _end(_start(folder, 0.0, rng.choice([1, 2, 4])))
    _check(folder, wanted)
    return kills


def _run_together(folder: Path, wanted: dict[str, str], rng: random.Random) -> int:
    runs = [_start(folder, 0.002, 1) for _ in range(_TOGETHER)]
    killed = rng.sample(runs, rng.randrange(_TOGETHER))
    for run in killed:
        time.sleep(rng.uniform(0.0, 1.0))
        run.send_signal(signal.SIGKILL)
    for run in runs:
        code = _code(run)
        if code != 0 and run not in killed:
            raise AssertionError(f"a run failed beside others, with code {code}")
    _end(_start(folder, 0.0, 1))  # clears away what the killed ones have left
    _check(folder, wanted)
    return len(killed)


def _check(folder: Path, wanted: dict[str, str]) -> None:
    found = digest_of(folder / "out")
    if found != wanted:
        different = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise AssertionError(f"other bytes in {different}")
    if left := [path.name for path in (folder / "data" / "datasets" / "unfinished").iterdir()]:
        raise AssertionError(f"{left} are left")


def _start(folder: Path, seconds: float, workers: int) -> subprocess.Popen[str]:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", _RUN, str(folder), str(seconds), str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _end(run: subprocess.Popen[str]) -> None:
    if (code := _code(run)) != 0:
        raise AssertionError(f"a run failed by itself, with code {code}")


def _code(run: subprocess.Popen[str]) -> int:
    assert run.stdout is not None
    with run.stdout:
        run.stdout.read()
    code = run.wait()
    if code not in {0, -signal.SIGKILL}:
        raise AssertionError(f"a run failed by itself, with code {code}")
    return code
