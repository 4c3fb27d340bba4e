"""The learning loop: runs with a tiny model are killed at random moments, and end with the bytes of one left alone.

The report is the same, as a page and as JSON; the registry holds the same versions, each registered and promoted once;
and once more the same call changes nothing.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import NamedTuple

from ragtime.storage.registry import ModelRegistry
from tests.services.learning.backwards import settings_of
from tests.services.learning.learning_runs import learn_alone, learn_killed
from tests.torture.harness import Counts, Timer

_KILLS = 10  # of one run, before it may end
_NAME = "thing"


class Ending(NamedTuple):
    """What a run has left.

    Attributes:
        page: The bytes of ``report.html``.
        report: The bytes of ``report.json``.
        versions: Each version in the registry, with its stage.
        changes: What was done in the registry, in order.
    """

    page: bytes
    report: bytes
    versions: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, report: Path) -> Ending:
        """Look at a run.

        Args:
            folder: Where it has worked.
            report: The folder of its report.

        Returns:
            What it has left.
        """
        registry = ModelRegistry(settings_of(folder))
        return cls(
            (report / "report.html").read_bytes(),
            (report / "report.json").read_bytes(),
            tuple((one.version, one.stage) for one in registry.list_versions(_NAME)),
            tuple(change.action for change in registry.history(_NAME)),
        )


def torture(time_left: Timer, seed: int) -> Counts:
    """Kill runs until the time is up."""
    rng, counts = random.Random(seed), Counts()
    with tempfile.TemporaryDirectory(prefix="ragtime-torture-") as name:
        place = Path(name)
        report, seconds = learn_alone(place / "alone")
        wanted = Ending.of(place / "alone", report)
        number = 0
        while number == 0 or time_left.left:
            number += 1
            folder = place / f"killed-{number}"
            report, kills = learn_killed(folder, rng, seconds=seconds, kills=_KILLS)
            check(Ending.of(folder, report), wanted, f"{kills} kills")
            counts.killed += kills
            again, _ = learn_alone(folder)
            check(Ending.of(folder, again), wanted, "the same call once more")
            counts.acknowledged += len(wanted.versions)
    return counts


def check(found: Ending, wanted: Ending, after: str) -> None:
    """Raise ``AssertionError`` where a run has left something else than the one that was left alone."""
    if found == wanted:
        return
    if found.report != wanted.report:
        one, other = json.loads(found.report), json.loads(wanted.report)
        different = [f"{key} of the report" for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    else:
        different = [key for key in Ending._fields if getattr(found, key) != getattr(wanted, key)]
    raise AssertionError(f"after {after} it is not the same: {', '.join(different)}")
