"""Runs of the loop in processes of their own, which can be killed; their server has the packages loaded."""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["sentence_transformers", "accelerate", "scipy.stats", "ragtime.services.learning.loop", "ragtime.testing"]
)


def learn(folder: Path) -> Path:
    """Learn the small world, and return the folder of the report."""
    import torch

    from tests.services.learning.backwards import general_pairs, loop_of, sources_of

    torch.set_num_threads(1)
    report = loop_of(folder).run(sources_of(), "thing", general=general_pairs())
    assert report.folder is not None
    return report.folder


def started(folder: Path) -> tuple[BaseProcess, Connection]:
    """Start a run, and wait until its process has been born; it sends the folder of its report at the end."""
    ours, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(folder, theirs))
    process.start()
    theirs.close()
    assert ours.recv() == "ready"
    return process, ours


def learn_alone(folder: Path) -> tuple[Path, float]:
    """Let a run come to its end; return the folder of its report, and the seconds that it took."""
    process, told = started(folder)
    begin = time.monotonic()
    report = told.recv()
    process.join()
    assert process.exitcode == 0
    return Path(report), time.monotonic() - begin


def learn_killed(folder: Path, rng: random.Random, *, seconds: float, kills: int) -> tuple[Path, int]:
    """Kill a run at random moments, so often or until it is faster, then let it come to its end.

    Args:
        folder: Where it works.
        rng: Chooses the moments.
        seconds: How long a run takes that is left alone.
        kills: How often to kill it.

    Returns:
        The folder of its report, and how often it was killed.
    """
    killed = 0
    while killed < kills:
        process, told = started(folder)
        time.sleep(rng.uniform(0.0, seconds))
        process.kill()
        process.join()
        if _has_ended(told):
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
    return learn_alone(folder)[0], killed


def _has_ended(told: Connection) -> bool:
    with contextlib.suppress(EOFError):  # it never will say so
        return told.poll() and bool(told.recv())
    return False


def _run(folder: Path, told: Connection) -> None:
    told.send("ready")
    told.send(str(learn(folder)))
