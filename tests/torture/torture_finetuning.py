"""Fine-tuning: runs of every strategy are killed at random moments, and end with the weights of one left alone.

Dropout, accumulated gradients, a checkpoint after every step, so that many of the kills fall into a save.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.services.model_finetuner.killed_runs import CASES, train_alone, train_killed
from tests.torture.harness import Counts, Timer

_KILLS = 5  # of one run, before it may end


def torture(time_left: Timer, seed: int) -> Counts:
    """Kill runs of each strategy in turn until the time is up."""
    rng, counts = random.Random(seed), Counts()
    with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as name:
        folder = Path(name)
        alone = {}
        for number, case in enumerate(_cases()):
            if number and not time_left.left:
                break
            if case not in alone:
                alone[case] = train_alone(case, folder / case)
            wanted, seconds = alone[case]
            found, kills = train_killed(case, folder / f"{case}-{number}", rng, seconds=seconds, kills=_KILLS)
            if found != wanted:
                raise AssertionError(f"{case}: other weights after {kills} kills")
            counts.killed += kills
            counts.acknowledged += len(found)
    return counts


def _cases() -> Iterator[str]:
    while True:
        yield from CASES
