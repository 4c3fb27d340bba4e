"""Cutting an answer at its stop texts, piece by piece, without ever giving out a part of one."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["StopCutter"]


class StopCutter:
    """Lets an answer through up to the first stop text.

    The answer ends where a stop text is first complete; of several that are complete at the same character, the longest
    counts. So the result does not depend on how the answer was cut into pieces.

        >>> cutter = StopCutter(["END"])
        >>> cutter.feed("one E"), cutter.feed("ND two"), cutter.flush()
        ('one ', '', '')
        >>> cutter.stopped
        True

    Attributes:
        stopped: Whether a stop text was found; nothing comes out after it.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        """Look for the texts of `stop`, none of them empty."""
        self._stop = tuple(stop)
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        """Take the next piece of the answer; return what is certainly part of the answer, ``""`` included."""
        if self.stopped:
            return ""
        text = self._held + piece
        cut = self._first_stop(text)
        if cut is not None:
            self.stopped, self._held = True, ""
            return text[:cut]
        keep = self._possible_start(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """Return what was held back, now that the answer has ended without completing a stop text."""
        held, self._held = self._held, ""
        return held

    def _first_stop(self, text: str) -> int | None:
        found = [(start + len(stop), start) for stop in self._stop if (start := text.find(stop)) >= 0]
        return min(found)[1] if found else None

    def _possible_start(self, text: str) -> int:
        """Length of the longest end of `text` that a stop text begins with."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0
