"""One way to log an operation: its start at DEBUG, its end once at INFO, its failure at ERROR.

    >>> from ragtime.monitoring.logging import get_logger
    >>> with log_operation(get_logger(__name__), "load_corpus", folder="handbook") as operation:
    ...     operation.add(documents=120)

The end is the event ``load_corpus finished`` with the fields ``operation``, ``folder``, ``documents`` and ``seconds``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragtime.monitoring.logging import Logger

__all__ = ["Operation", "log_operation"]

_FRAMES = 4  # tell, this module's generator, contextlib's __enter__ or __exit__, then the block's own


class Operation:
    """What an operation tells at its end; made by ``log_operation``.

    Attributes:
        name: Name of the operation.
        fields: The fields told so far.
    """

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        """Start with the fields that are known before the work."""
        self.name = name
        self.fields = fields

    def add(self, **fields: Any) -> None:
        """Add fields, such as counts and ids, that the work has found; a later value replaces an earlier one."""
        self.fields.update(fields)


@contextmanager
def log_operation(
    log: Logger,
    name: str,
    /,
    *,
    level: int = logging.INFO,
    clock: Callable[[], float] = time.perf_counter,
    **fields: Any,
) -> Iterator[Operation]:
    """Log the public operation that the ``with`` block does.

    A failure is logged with the type of the error and raised on; its text is not logged, for it may quote a document.
    An operation that is interrupted, by Ctrl-C or a cancelled task, counts as failed.

    Args:
        log: Logger of the module that does the work.
        name: Name of the operation, the public function's as a rule.
        level: Level of the end; lower it where one operation is a mere look-up.
        clock: Returns seconds; only differences count.
        **fields: What is known before the work: ids, paths, options.

    Yields:
        The operation, to which the block adds what it finds.

    Raises:
        BaseException: Whatever the block raises.
    """
    operation = Operation(name, dict(fields))
    start = clock()

    def tell(severity: int, what: str, **more: Any) -> None:
        extra = {"operation": name, **operation.fields, **more}
        log.log(severity, "%s %s", name, what, extra=extra, stacklevel=_FRAMES)

    def seconds() -> float:
        return round(clock() - start, 3)

    tell(logging.DEBUG, "started")
    try:
        yield operation
    except BaseException as error:
        if isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
            tell(level, "finished", seconds=seconds(), stopped=True)  # its user had enough, or all is done
        else:
            tell(logging.ERROR, "failed", seconds=seconds(), error=type(error).__name__)
        raise
    tell(level, "finished", seconds=seconds())
