"""Progress of long work: a bar on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, get_args

from ragtime.config.settings import get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import Logger, get_logger

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

__all__ = ["Progress", "ProgressMode", "track", "track_each"]

T = TypeVar("T")
ProgressMode = Literal["auto", "bar", "lines", "off"]

_log = get_logger(__name__)
_bars: ContextVar[RichProgress | None] = ContextVar("ragtime_progress_bars", default=None)


class Progress(Protocol):
    """Told by the work how far it is; made by ``track``."""

    def advance(self, steps: int = 1, **figures: float | None) -> None:
        """Tell that `steps` more are done, and the latest of any figures worth seeing, such as a loss, when known."""
        ...


@contextmanager
def track(
    description: str,
    *,
    total: int | None = None,
    unit: str = "steps",
    mode: ProgressMode | None = None,
    console: Console | None = None,
    log: Logger = _log,
    every_seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Show the progress of the work in a ``with`` block.

    Args:
        description: What is being done, such as ``Embedding``.
        total: Steps in all; ``None`` when not known.
        unit: What a step is, in the plural, such as ``texts``.
        mode: How to show it; ``None`` means ``logging.progress`` of the settings. ``auto`` means a bar when standard
            error is a terminal, else log lines at INFO, which show only where the application shows its log.
        console: Where a bar is drawn; ``None`` means standard error. Bars inside bars share one console.
        log: Takes the log lines.
        every_seconds: Least time between two log lines; the end is always told.
        clock: Returns seconds; only differences count.

    Yields:
        What the work tells its steps to.

    Raises:
        InvalidArgumentError: `mode` is none of the known ones.
    """
    mode = mode or get_settings().logging.progress
    if mode not in get_args(ProgressMode):
        raise InvalidArgumentError(f"mode must be one of {', '.join(get_args(ProgressMode))}, found {mode!r}")
    if mode == "auto":
        mode = "bar" if sys.stderr.isatty() else "lines"
    if mode == "bar":
        with _bar(description, total, unit, console) as bar:
            yield bar
    elif mode == "lines":
        lines = _Lines(description, total, unit, log, every_seconds, clock)
        yield lines
        lines.tell("done")
    else:
        yield _Silence()


def track_each(items: Iterable[T], description: str, *, total: int | None = None, unit: str = "items") -> Iterator[T]:
    """Yield `items` while showing how many have been worked through; see ``track``.

    Args:
        items: Anything to go through.
        description: What is being done.
        total: Number of items; ``None`` means their length, when they have one.
        unit: What an item is, in the plural.

    Yields:
        The items.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with track(description, total=total, unit=unit) as progress:
        for item in items:
            yield item
            progress.advance()


class _Silence:
    """Shows nothing."""

    def advance(self, steps: int = 1, **figures: float | None) -> None:
        pass


class _Lines:
    """Logs a line from time to time."""

    def __init__(
        self, description: str, total: int | None, unit: str, log: Logger, every: float, clock: Callable[[], float]
    ) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._log, self._every, self._clock = log, every, clock
        self._start = self._last = clock()
        self._done = 0
        self._figures: dict[str, float] = {}

    def advance(self, steps: int = 1, **figures: float | None) -> None:
        self._done += steps
        self._figures.update({name: value for name, value in figures.items() if value is not None})
        if self._clock() - self._last >= self._every:
            self.tell()

    def tell(self, ending: str = "") -> None:
        """Log where the work is."""
        self._last = self._clock()
        seconds = self._last - self._start
        rate = self._done / seconds if seconds > 0 else 0.0
        told = [
            f"{self._done} of {self._total} {self._unit}" if self._total is not None else f"{self._done} {self._unit}"
        ]
        if rate > 0:
            told.append(f"{rate:.3g}/s")
        if not ending and rate > 0 and self._total is not None:
            told.append(f"about {max(0.0, (self._total - self._done) / rate):.0f} s left")
        told += [f"{name} {value:.4g}" for name, value in self._figures.items()]
        self._log.info("%s: %s", self._description, ", ".join([*([ending] if ending else []), *told]))


class _Bar:
    """Moves one bar of a display."""

    def __init__(self, bars: RichProgress, description: str, total: int | None, unit: str) -> None:
        self._bars = bars
        self._task = bars.add_task(description, total=total, unit=unit, figures="")
        self._figures: dict[str, float] = {}

    def advance(self, steps: int = 1, **figures: float | None) -> None:
        self._figures.update({name: value for name, value in figures.items() if value is not None})
        shown = " ".join(f"{name} {value:.4g}" for name, value in self._figures.items())
        self._bars.update(self._task, advance=steps, figures=shown)

    def stop(self) -> None:
        self._bars.stop_task(self._task)


@contextmanager
def _bar(description: str, total: int | None, unit: str, console: Console | None) -> Iterator[Progress]:
    outer = _bars.get()
    if outer is not None:  # a terminal has room for one display; it gets another bar
        bar = _Bar(outer, description, total, unit)
        try:
            yield bar
        finally:
            bar.stop()
        return
    from rich import progress as rich_progress  # noqa: PLC0415 - only a bar needs it
    from rich.console import Console as RichConsole  # noqa: PLC0415

    with rich_progress.Progress(
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[unit]} {task.fields[figures]}", markup=False),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TimeRemainingColumn(),
        console=console or RichConsole(stderr=True),
    ) as bars:
        token = _bars.set(bars)
        try:
            yield _Bar(bars, description, total, unit)
        finally:
            _bars.reset(token)
