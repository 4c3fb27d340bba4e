"""What one rendering may use up, and the account of what it has used."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ragtime.errors import RenderLimitError

if TYPE_CHECKING:
    from ragtime.config.sections import TemplateSettings
    from ragtime.utils.templates.engine.engine import Source

__all__ = ["RenderLimits", "Rendering", "current"]

_INTERMEDIATE = 1_000_000  # characters or items that a single operation may make
_SCAN_SHIFT = 10  # a text of 1,024 characters that is scanned is a step
_MAX_DEPTH = 100
_MADE = 4  # times the longest result: what may be made on the way to it


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """Limits of one rendering.

    Attributes:
        max_output_characters: Longest result, in characters; what is made on the way to it may be four times that.
        max_steps: Most loop iterations, calls and items that filters go through.
        timeout_seconds: Longest time, in seconds; looked at between steps.
        max_intermediate: Most characters or items that one operation, such as a repetition, may make.
    """

    max_output_characters: int = 5_000_000
    max_steps: int = 200_000
    timeout_seconds: float = 5.0
    max_intermediate: int = _INTERMEDIATE

    @classmethod
    def from_settings(cls, settings: TemplateSettings) -> Self:
        """Read the limits from the section ``templates``."""
        return cls(
            max_output_characters=settings.max_output_characters,
            max_steps=settings.max_steps,
            timeout_seconds=settings.timeout_seconds,
            max_intermediate=min(_INTERMEDIATE, settings.max_output_characters),
        )


class Rendering:
    """The account of one rendering that is going on.

    Attributes:
        clock: Returns seconds; only differences count.
        limits: What it may use.
        lookup: Finds the source of another template by name, for includes and parents.
        steps: Steps left.
        room: Characters left that may be made on the way: captured, joined, escaped, or returned by filters.
    """

    __slots__ = ("clock", "deadline", "limits", "lookup", "room", "steps")

    def __init__(self, limits: RenderLimits, lookup: Callable[[str], Source], clock: Callable[[], float]) -> None:
        """Start with everything left."""
        self.clock = clock
        self.limits = limits
        self.lookup = lookup
        self.steps = limits.max_steps
        self.room = _MADE * limits.max_output_characters
        self.deadline = clock() + limits.timeout_seconds

    def charge(self, steps: int) -> None:
        """Take steps off what is left.

        Args:
            steps: How many.

        Raises:
            RenderLimitError: Nothing is left, or the time is over.
        """
        self.steps -= steps
        if self.steps < 0:
            raise RenderLimitError(f"more than {self.limits.max_steps:,} steps (templates.max_steps)")
        self.check_time()

    def check_time(self) -> None:
        """Raise when the time is over."""
        if self.clock() > self.deadline:
            raise RenderLimitError(f"longer than {self.limits.timeout_seconds:g} s (templates.timeout_seconds)")

    def make(self, characters: int) -> None:
        """Take characters off what may be made on the way, so that nothing can be hoarded."""
        self.room -= characters
        if self.room < 0:
            most = _MADE * self.limits.max_output_characters
            raise RenderLimitError(
                f"more than {most:,} characters made on the way, {_MADE} times templates.max_output_characters"
            )

    def amplify(self, size: float, what: str) -> None:
        """Raise when one operation is about to make much of little.

        Args:
            size: Characters or items that it makes beyond what it is given.
            what: The operation, for the error's text.

        Raises:
            RenderLimitError: They are too many.
        """
        if size > self.limits.max_intermediate:
            raise RenderLimitError(f"{what} makes more than {self.limits.max_intermediate:,} characters or items")
        self.make(int(size))

    def weigh(self, value: Any, depth: int = 0) -> None:
        """Charge what going through a value takes, shared parts as often as they stand in it.

        Args:
            value: Data, or part of it.
            depth: How deep the part lies.

        Raises:
            RenderLimitError: It is too much, or nested too deeply.
        """
        if isinstance(value, str):
            if len(value) >> _SCAN_SHIFT:
                self.charge(len(value) >> _SCAN_SHIFT)
            if depth:
                self.make(len(value))
        elif type(value) is list or type(value) is tuple or type(value) is dict:
            if depth > _MAX_DEPTH:
                raise RenderLimitError(f"data nested deeper than {_MAX_DEPTH} levels")
            self.charge(len(value))
            for item in value.items() if type(value) is dict else value:
                self.weigh(item, depth + 1)

    def too_long(self) -> RenderLimitError:
        """Build the error of a result that is too long."""
        most = self.limits.max_output_characters
        return RenderLimitError(f"more than {most:,} characters (templates.max_output_characters)")


current: ContextVar[Rendering] = ContextVar("ragtime_rendering")
"""The rendering that is going on in this thread or task; set by the engine alone."""
