"""Structured logging on top of the standard library's.

    >>> from ragtime.monitoring.logging import get_logger
    >>> log = get_logger(__name__)
    >>> log.info("Examples generated", extra={"count": 3})
    >>> log.info("Examples generated", count=3)

Levels, handlers and routing are those of the standard library, so the application decides what is shown; without a word
from it ragtime shows nothing. Every field is an attribute of the ``LogRecord``. Structlog's global configuration is
neither read nor written. An application that has no logging of its own, and the command line, call
``configure_logging``.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Literal, Self, TextIO

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars

from ragtime.config.library_logger import ROOT_NAME, library_logger
from ragtime.config.settings import get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.redaction import MAX_TEXT_CHARACTERS, TextDigest, redact, redact_text

__all__ = ["Logger", "configure_logging", "get_logger", "log_context"]

_Event = MutableMapping[str, Any]
_OF_EVERY_RECORD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
_RESERVED = {*_OF_EVERY_RECORD, "event", "level", "logger", "timestamp", "exception", "stack"}
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROL |= {
    code: f"\\u{code:04x}" for code in (0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}  # bidi
_CONTROL |= {9: "\t", 10: "\\n", 13: "\\r"}
_ARGUMENTS = "%"  # under which the arguments of a message travel: no field can be called so by keyword
_FRAMES = 3  # from the standard library's view: this module's _log, its info or error, then the caller


class Logger(structlog.BoundLoggerBase):
    """A logger that takes fields, made by ``get_logger``.

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

    def bind(self, **new_values: Any) -> Self:
        """Return a logger that adds these fields to every event."""
        return super().bind(**{_free_name(name): value for name, value in new_values.items()})

    def _log(self, level: int, event: str, args: tuple[object, ...], fields: dict[str, Any]) -> None:
        logger: logging.Logger = self._logger
        if not logger.isEnabledFor(level):
            return
        library_logger(logger.name)
        error = _exc_info(fields.pop("exc_info", None))
        stack_info = bool(fields.pop("stack_info", False))
        path, line, function, stack = logger.findCaller(stack_info, fields.pop("stacklevel", 1) + _FRAMES - 1)
        told = self._told(event, args, fields)
        record = logger.makeRecord(logger.name, level, path, line, told.pop("event"), (), error, function, None, stack)
        record.stack_info = stack and redact_text(stack)
        if error is not None:
            plain = "".join(traceback.format_exception(*error)).rstrip("\n")
            record.exc_text = _redact_traceback(plain, error[1])
            if record.exc_text != plain:
                record.exc_info = None  # a handler that formats it itself would show what was redacted
        vars(record).update(told)
        logger.handle(record)

    def _told(self, event: object, args: tuple[object, ...], fields: dict[str, Any]) -> dict[str, Any]:
        """Run the chain; whatever a caller passes in, logging does not raise."""
        extra = fields.pop("extra", None)
        lifted = extra if isinstance(extra, Mapping) else {} if extra is None else {"extra": extra}
        named = {_free_name(str(name)): value for name, value in {**lifted, **fields}.items()}
        try:
            _, told = self._process_event("", str(event), {**named, _ARGUMENTS: args})
        except Exception as error:  # noqa: BLE001 - an application must not fail because of what it logs
            return {"event": f"An event could not be logged ({type(error).__name__})"}
        return dict(told)


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
    if format not in {"console", "json", None} or not _is_level(level):
        raise InvalidArgumentError(
            f"Unknown log level or format ({level!r}, {format!r}); levels are DEBUG, INFO, WARNING, ERROR, CRITICAL, "
            "formats are console and json"
        )
    if format is None or level is None:
        _install(format or "console", level or logging.WARNING, stream)  # reading the settings may warn
        chosen = get_settings().logging
        format, level = format or chosen.format, chosen.level if level is None else level  # noqa: A001
    _install(format, level, stream)


def _is_level(level: int | str | None) -> bool:
    if isinstance(level, str):
        return level.upper() in logging.getLevelNamesMapping()
    return level is None or (type(level) is int and level >= 0)  # a bool is an int, but no level


def _install(style: str, level: int | str, stream: TextIO | None) -> None:
    handler = _Handler(stream)
    handler.setFormatter(_Formatter(style, colors=_has_colors(handler.stream)))
    root = logging.getLogger()
    for former in [known for known in root.handlers if isinstance(known, _Handler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level.upper() if isinstance(level, str) else level)


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

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Tell that an event was lost, without its arguments, which the standard library would print as they are."""
        error = sys.exc_info()[0]
        with suppress(OSError, ValueError, AttributeError):
            told = (
                f"ragtime: an event of {record.name} could not be written ({error.__name__ if error else 'no error'})"
            )
            sys.stderr.write(f"{told}\n")


class _Formatter(logging.Formatter):
    """Writes a record, ours or another library's, as one redacted line, and its traceback."""

    def __init__(self, style: str, *, colors: bool) -> None:
        super().__init__()
        self._console = style == "console"
        self._renderer: Any = structlog.processors.JSONRenderer(serializer=_to_json)
        if self._console:
            # Not structlog's default tracebacks: they print local variables, and with them prompts and keys.
            plain = structlog.dev.plain_traceback
            self._renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)

    def format(self, record: logging.LogRecord) -> str:
        event = _redact_event(None, "", _facts(record))
        return str(self._renderer(None, "", _escape_controls(event) if self._console else event))


def _facts(record: logging.LogRecord) -> _Event:
    """Collect what a record tells; no field of it can pass for its message, level, logger or time."""
    # A host's structlog may hand its events to the standard library as dicts.
    fields = dict(record.msg) if isinstance(record.msg, dict) else {}
    facts: _Event = {
        "event": fields.pop("event", "") if fields else record.getMessage(),
        "timestamp": datetime.fromtimestamp(record.created, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    fields.update((name, value) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD)
    for name, value in fields.items():
        facts[_free_name(str(name))] = value
    if record.exc_text:
        facts["exception"] = record.exc_text
    elif record.exc_info and record.exc_info[0] is not None:
        plain = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        facts["exception"] = _redact_traceback(plain, record.exc_info[1])
    if record.stack_info:
        facts["stack"] = record.stack_info
    return facts


def _redact_traceback(text: str, error: BaseException | None) -> str:
    """Redact a traceback; the text of an error that is too long for a log is digested, as any text."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        try:
            told = str(error)
        except Exception:  # noqa: BLE001 - an error that cannot tell itself has nothing to hide
            told = ""
        if len(told) > MAX_TEXT_CHARACTERS:
            text = text.replace(told, TextDigest.of(told))
        error = error.__cause__ or error.__context__
    return redact_text(text)


def _merge_context(_: Any, __: str, event: _Event) -> _Event:
    for name, value in get_contextvars().items():
        event.setdefault(_free_name(name), value)
    return event


def _format_message(_: Any, __: str, event: _Event) -> _Event:
    """Fill the ``%`` marks, as the standard library would; a message that does not fit its arguments is still told."""
    args = event.pop(_ARGUMENTS, ())
    if args:
        values = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
        try:
            event["event"] = str(event["event"]) % values
        except Exception:  # noqa: BLE001 - the marks do not fit the arguments, or one of them cannot be told
            event["event"] = f"{event['event']} {tuple(redact(value) for value in args)}"
    return event


def _redact_event(_: Any, __: str, event: _Event) -> _Event:
    exempt = {
        name: event[name] for name in ("exception", "stack") if name in event
    }  # long by nature, and redacted as text
    told = {name: redact(value, key=name) for name, value in event.items() if name not in exempt and name != "event"}
    text = event["event"]
    message = text if isinstance(text, TextDigest) else redact(str(text))
    return {"event": message, **told, **{name: redact_text(str(text)) for name, text in exempt.items()}}


def _escape_controls(event: _Event) -> _Event:
    """Keep a logged text from forging further lines or moving the terminal's cursor."""
    return {
        name.translate(_CONTROL): value.translate(_CONTROL)
        if isinstance(value, str) and name not in {"exception", "stack"}
        else value
        for name, value in event.items()
    }


_CHAIN = [_merge_context, _format_message, _redact_event]


def _to_json(event: _Event, **_: Any) -> str:
    try:
        return json.dumps(event, default=str, allow_nan=False)
    except ValueError:  # JSON has no word for numbers that are not finite
        return json.dumps(_finite(event), default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value


def _exc_info(given: Any) -> tuple[Any, Any, Any] | None:
    """Normalise what the standard library accepts as ``exc_info``."""
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if isinstance(given, tuple) and given:
        return given if given[0] is not None else None
    found = sys.exc_info() if given else (None, None, None)
    return found if found[0] is not None else None


def _free_name(name: str) -> str:
    return f"{name}_" if name in _RESERVED or hasattr(logging.LogRecord, name) else name


def _has_colors(stream: TextIO) -> bool:
    return bool(getattr(stream, "isatty", lambda: False)()) and not os.environ.get("NO_COLOR")
