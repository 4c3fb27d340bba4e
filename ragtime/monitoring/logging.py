"""Structured logging on top of the standard library's.

    >>> from ragtime.monitoring.logging import get_logger
    >>> log = get_logger(__name__)
    >>> log.info("Examples generated", extra={"count": 3})
    >>> log.info("Examples generated", count=3)

Levels, handlers and routing are those of the standard library, so the application decides what is shown; without a word
from it ragtime shows nothing. Every field is an attribute of the ``LogRecord``. Structlog's global configuration is
neither read nor written. An application that has no logging of its own, and the command line, call
:func:`configure_logging`.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

from ragtime.config.library_logger import ROOT_NAME, library_logger
from ragtime.config.settings import get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.redaction import TextDigest, redact, redact_text

__all__ = ["Logger", "configure_logging", "get_logger", "log_context"]

_Event = MutableMapping[str, Any]
_RESERVED = {
    *vars(logging.makeLogRecord({})),
    "message",
    "asctime",
    "taskName",
    "event",
    "level",
    "logger",
    "timestamp",
}
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {9: "\t", 10: "\\n", 13: "\\r"}
_FRAMES = 3  # from the standard library's view: this module's _log, its info or error, then the caller


class Logger(structlog.BoundLoggerBase):
    """A logger that takes fields, made by :func:`get_logger`.

    Every method takes the event, arguments for its ``%`` marks, and fields by keyword or in ``extra``; also
    ``exc_info``, ``stack_info`` and ``stacklevel`` as in the standard library. A field whose name a ``LogRecord`` has
    taken gets an underscore behind it. ``bind(**fields)`` gives a logger that adds them to every event.
    """

    def debug(self, event: str, /, *args: object, **fields: Any) -> None:
        """Log at DEBUG."""
        self._log(logging.DEBUG, event, args, fields)

    def info(self, event: str, /, *args: object, **fields: Any) -> None:
        """Log at INFO."""
        self._log(logging.INFO, event, args, fields)

    def warning(self, event: str, /, *args: object, **fields: Any) -> None:
        """Log at WARNING."""
        self._log(logging.WARNING, event, args, fields)

    def error(self, event: str, /, *args: object, **fields: Any) -> None:
        """Log at ERROR."""
        self._log(logging.ERROR, event, args, fields)

    def critical(self, event: str, /, *args: object, **fields: Any) -> None:
        """Log at CRITICAL."""
        self._log(logging.CRITICAL, event, args, fields)

    def exception(self, event: str, /, *args: object, **fields: Any) -> None:
        """Log at ERROR with the exception that is being handled."""
        self._log(logging.ERROR, event, args, {"exc_info": True, **fields})

    def log(self, level: int, event: str, /, *args: object, **fields: Any) -> None:
        """Log at `level`, a number of the standard library."""
        self._log(level, event, args, fields)

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the standard library's name
        """Tell whether an event of this level would be logged."""
        return bool(self._logger.isEnabledFor(level))

    def _log(self, level: int, event: str, args: tuple[object, ...], fields: dict[str, Any]) -> None:
        logger: logging.Logger = self._logger
        if not logger.isEnabledFor(level):
            return
        library_logger(logger.name)
        error = _exc_info(fields.pop("exc_info", None))
        stack_info = bool(fields.pop("stack_info", False))
        path, line, function, stack = logger.findCaller(stack_info, fields.pop("stacklevel", 1) + _FRAMES - 1)
        if "event" in fields:
            fields["event_"] = fields.pop("event")
        _, told = self._process_event("", event, {**fields, "positional_args": args})
        message = told["event"]
        record = logger.makeRecord(logger.name, level, path, line, message, (), error, function, None, stack)
        if error is not None:
            record.exc_text = redact_text("".join(traceback.format_exception(*error)).rstrip("\n"))
        vars(record).update({_free_name(name): value for name, value in told.items() if name != "event"})
        logger.handle(record)


def get_logger(name: str = ROOT_NAME) -> Logger:
    """Return the logger of a module.

    Args:
        name: Usually ``__name__``.

    Returns:
        A logger over ``logging.getLogger(name)``, whose level and handlers it follows.
    """
    return Logger(logging.getLogger(name), _CHAIN, {})


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Add `fields` to every event logged inside a ``with`` block, by whatever module.

    Meant for what many events share: the id of a conversation or of a run. Contexts nest, and follow asyncio tasks and
    ragtime's own worker threads.

    Args:
        **fields: The fields, by name.
    """
    with bound_contextvars(**fields):
        yield


def configure_logging(
    *,
    format: Literal["console", "json"] | None = None,  # noqa: A002 - the word a caller expects
    level: int | str | None = None,
    stream: TextIO | None = None,
) -> None:
    """Show log events of the whole application, ragtime's and others', on standard error.

    For applications and the command line; a library that uses ragtime leaves it to them. Calling it again replaces what
    the last call set up and touches no other handler.

    Args:
        format: ``console`` for people, ``json`` for one object a line; ``None`` means ``logging.format`` of the
            settings.
        level: Least severe level shown, by name or number; ``None`` means ``logging.level`` of the settings.
        stream: Where to write; ``None`` means what ``sys.stderr`` is at the time of each event.

    Raises:
        InvalidArgumentError: `format` or `level` is none of the known ones.
    """
    if format is None:
        format = get_settings().logging.format  # noqa: A001
    if level is None:
        level = get_settings().logging.level
    number = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
    if number is None or format not in {"console", "json"}:
        raise InvalidArgumentError(
            f"Unknown log level or format ({level!r}, {format!r}); levels are DEBUG, INFO, WARNING, ERROR, CRITICAL, "
            "formats are console and json"
        )
    handler = _Handler(stream)
    handler.setFormatter(_formatter(format, colors=_has_colors(handler.stream)))
    root = logging.getLogger()
    for former in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(number)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to `stream`, or to whatever ``sys.stderr`` is by then: test runners and progress bars exchange it."""

    def __init__(self, stream: TextIO | None) -> None:
        self._given = stream
        super().__init__(stream or sys.stderr)

    @property
    def stream(self) -> TextIO:
        return self._given or sys.stderr

    @stream.setter
    def stream(self, stream: TextIO) -> None:
        """Ignore what the base class sets."""


def _formatter(style: str, *, colors: bool) -> logging.Formatter:
    renderer: Any
    if style == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        # Not structlog's default tracebacks: they print local variables, and with them prompts and keys.
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[
            _add_record_facts,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _redact_event,
            *([_escape_controls] if style == "console" else []),
            renderer,
        ],
    )


def _add_record_facts(_: Any, __: str, event: _Event) -> _Event:
    record: logging.LogRecord = event["_record"]
    facts: _Event = {
        "timestamp": datetime.fromtimestamp(record.created, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        **event,
    }
    for left_behind in ("message", "asctime"):  # by the formatter of another handler
        facts.pop(left_behind, None)
    error, stack = facts.pop("exc_info", None), facts.pop("stack_info", None)
    if error:
        facts["exception"] = "".join(traceback.format_exception(*error)).rstrip("\n")  # redacted with the rest
    if stack:
        facts["stack"] = stack
    return facts


def _flatten_extra(_: Any, __: str, event: _Event) -> _Event:
    """Lift what the standard library's callers give in ``extra`` to the level of keyword fields."""
    extra = event.pop("extra", None)
    if isinstance(extra, Mapping):
        for name, value in extra.items():
            event.setdefault("event_" if name == "event" else str(name), value)
    elif extra is not None:
        event["extra"] = extra
    return event


def _format_message(_: Any, __: str, event: _Event) -> _Event:
    """Fill the ``%`` marks, as the standard library would; a message that does not fit its arguments is still told."""
    args = event.pop("positional_args", ())
    if args:
        values = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
        try:
            event["event"] = str(event["event"]) % values
        except (TypeError, ValueError, KeyError):
            event["event"] = f"{event['event']} {args}"
    return event


def _redact_event(_: Any, __: str, event: _Event) -> _Event:
    exempt = {
        name: event[name] for name in ("exception", "stack") if name in event
    }  # long by nature, and redacted as text
    told = {name: redact(value, key=name) for name, value in event.items() if name not in exempt and name != "event"}
    text = event["event"]
    message = text if isinstance(text, TextDigest) else redact(str(text))
    return {"event": message, **told, **{name: redact_text(str(text)) for name, text in exempt.items()}}


def _escape_controls(_: Any, __: str, event: _Event) -> _Event:
    """Keep a logged text from forging further lines or moving the terminal's cursor."""
    return {
        name: value.translate(_CONTROL) if isinstance(value, str) and name not in {"exception", "stack"} else value
        for name, value in event.items()
    }


_CHAIN = [merge_contextvars, _flatten_extra, _format_message, _redact_event]


def _exc_info(given: Any) -> tuple[Any, Any, Any] | None:
    """Normalise what the standard library accepts as ``exc_info``."""
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if isinstance(given, tuple):
        return given if given[0] is not None else None
    found = sys.exc_info() if given else (None, None, None)
    return found if found[0] is not None else None


def _free_name(name: str) -> str:
    return f"{name}_" if name in _RESERVED else name


def _has_colors(stream: TextIO) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)()) and not os.environ.get("NO_COLOR")
