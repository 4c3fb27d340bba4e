"""What a torture area reports.

An area is a module ``torture_NAME.py`` in this folder with a function ``torture(time, seed) -> Counts`` that goes on
until the time is up, and raises as soon as a promise is broken. All its choices come from the seed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass
class Counts:
    """What was done, and what was lost.

    Attributes:
        killed: Moments at which a process was killed.
        inputs: Inputs tried.
        acknowledged: Records that were acknowledged as written.
        lost: Acknowledged records that were not there afterwards.
    """

    killed: int = 0
    inputs: int = 0
    acknowledged: int = 0
    lost: int = 0


class Timer:
    """Tells when the time is up."""

    def __init__(self, seconds: float) -> None:
        """Start counting."""
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> bool:
        """Whether there is time left."""
        return time.monotonic() < self._end
