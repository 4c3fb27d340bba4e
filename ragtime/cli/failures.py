"""Failures on standard error: told once, by the command line in its own words."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["failures_told_once"]


class _HeldFailures(logging.Filter):
    """Keeps the failures of operations from the log, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[logging.LogRecord] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Let all else pass."""
        failure = record.levelno == logging.ERROR and hasattr(record, "operation")
        if failure:
            self.held.append(record)
        return not failure


@contextmanager
def failures_told_once() -> Iterator[None]:
    """Show no failure of an operation as a log event while a command runs.

    Every operation on the way from the library to the command logs the failure that ends the command, which the
    command line then tells in words, or as JSON that a program reads: a line of the log beside it would be in the way.
    A failure that the command has survived is shown at its end. Handlers that write elsewhere see all of them at once.
    """
    shown = [handler for handler in logging.getLogger().handlers if getattr(handler, "stream", None) is sys.stderr]
    filters = [(handler, _HeldFailures()) for handler in shown]
    for handler, held in filters:
        handler.addFilter(held)
    try:
        yield
    except BaseException:
        for handler, held in filters:
            handler.removeFilter(held)
        raise
    for handler, held in filters:
        handler.removeFilter(held)
        for record in held.held:
            handler.handle(record)
