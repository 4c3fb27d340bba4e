"""When a run ends before its last step: it has stopped to improve, or somebody wants it to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["EarlyStopping", "StopRequest"]


@dataclass(slots=True)
class EarlyStopping:
    """Counts the evaluations since the last one that was better.

    Attributes:
        patience: So many without improvement end the run.
        min_change: Least change that counts as improvement.
        best: The best score so far, higher is better; ``None`` before the first.
        waited: Evaluations since it improved.
    """

    patience: int
    min_change: float = 0.0
    best: float | None = None
    waited: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the run should end."""
        return self.waited >= self.patience

    def told(self, score: float) -> bool:
        """Take a score.

        Args:
            score: The score, higher is better.

        Returns:
            Whether the run should end.
        """
        if self.best is None or score > self.best + self.min_change:
            self.best, self.waited = score, 0
        else:
            self.waited += 1
        return self.is_over

    def state(self) -> dict[str, float | int | None]:
        """Return what a checkpoint keeps."""
        return {"best": self.best, "waited": self.waited}

    def load_state(self, state: Mapping[str, float | int | None]) -> None:
        """Put back what :meth:`state` gave."""
        self.best, self.waited = state["best"], int(state["waited"] or 0)


class StopRequest:
    """Whether Ctrl-C was pressed or the process asked to end, for a loop that looks between its steps.

        with StopRequest().heard() as request:
            while steps_are_left() and request.signal is None:
                take_step()

    The first request waits until the loop looks; a second one has the effect that it has elsewhere, at once.

    Attributes:
        signal: The signal that came; ``None`` while none has.
    """

    def __init__(self) -> None:
        """Wait for none yet."""
        self.signal: signal.Signals | None = None

    @contextmanager
    def heard(self) -> Iterator[StopRequest]:
        """Listen in the block, in the main thread and to signals that nobody else handles; elsewhere do nothing.

        When the block ends well after a request, the signal is raised once more, so that it has its usual effect.

        Yields:
            This request.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        usual = {
            number: handler
            for number, handler in ((one, signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM))
            if handler in (signal.default_int_handler, signal.SIG_DFL)
            and threading.current_thread() is threading.main_thread()
        }

        def put_back() -> None:
            for number, handler in usual.items():
                signal.signal(number, handler)

        def take(number: int, _: FrameType | None) -> None:
            self.signal = signal.Signals(number)
            put_back()

        for number in usual:
            signal.signal(number, take)
        try:
            yield self
        finally:
            put_back()
        if self.signal is not None:
            signal.raise_signal(self.signal)
