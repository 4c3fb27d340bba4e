"""Telling the user of an old name where it went: a warning at their own line, and one log event for it.

>>> import warnings
>>> @deprecated_function("template")
... def get_template_path() -> str:
...     return "./template.html"
>>> with warnings.catch_warnings(record=True) as told:
...     warnings.simplefilter("always")
...     path = get_template_path()
>>> print(str(told[0].message).partition(";")[0])
template.get_template_path is deprecated since 1.0.0
"""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, ParamSpec, TypeVar

from ragtime.errors import InvalidArgumentError, RagtimeDeprecationWarning
from ragtime.migration.names import OLD_MODULES, OldName, find_old_name, wrapper_of
from ragtime.monitoring.logging import get_logger

__all__ = ["CODEMOD", "deprecated_class", "deprecated_function", "deprecation_message", "warn_deprecated"]

CODEMOD = "ragtime migrate --to ragtime --diff PATH"
"""The command that finds uses of the old names, and rewrites what it can."""

_P = ParamSpec("_P")
_R = TypeVar("_R")
_C = TypeVar("_C", bound=type[Any])
_WRAPPERS = frozenset({"ragtime_compat", *(wrapper_of(module) for module in OLD_MODULES)})
_SITES = 10_000  # call sites remembered as logged; a program that makes code as it runs has no end of them

_logger = get_logger(__name__)
_logged: set[tuple[str, int, str]] = set()
_wrapped: set[type] = set()
_lock = threading.Lock()


def deprecation_message(entry: OldName) -> str:
    """Return what the warning says: the old place, the new one, when the old one goes, and the codemod."""
    return (
        f"{entry.module}.{entry.name} is deprecated since {entry.since}; use {entry.new} instead. "
        f"It will be removed in {entry.removed_in}. {entry.change} Rewrite it: {CODEMOD}"
    )


def warn_deprecated(module: str, name: str) -> None:
    """Warn that an old name is used; called by the body of what has the name.

    The warning comes each time, for the filters of Python to count, and the log event once for each place. Both name
    the nearest line that is neither of ragtime nor of a wrapper. Nothing is said when a wrapper itself uses the name:
    whoever called that wrapper has been told.

    Args:
        module: The old module.
        name: The name in it.

    Raises:
        InvalidArgumentError: The table has no such name.
    """
    entry = find_old_name(module, name)
    if entry is None:
        raise InvalidArgumentError(f"The table of old names has no {module}.{name}")
    caller = _caller(sys._getframe(2))  # noqa: SLF001 - the only way to a caller's own line
    if _package(caller) in _WRAPPERS:
        return
    message, path, line = deprecation_message(entry), caller.f_code.co_filename, caller.f_lineno
    _log_once(entry, path, line)
    warnings.warn_explicit(
        message,
        RagtimeDeprecationWarning,
        path,
        line,
        module=str(caller.f_globals.get("__name__", "<unknown>")),
        registry=caller.f_globals.setdefault("__warningregistry__", {}),
    )


def deprecated_function(module: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Make a function warn each time it is called.

    Args:
        module: The old module that had it, under the same name.

    Returns:
        The decorator; signature and docstring stay as they are.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            warn_deprecated(module, function.__name__)
            return function(*args, **kwargs)

        return wrapped

    return decorate


def deprecated_class(module: str) -> Callable[[_C], _C]:
    """Make a class warn each time one is constructed.

    A class that is derived from it warns once, too: of several wrappers among its bases only the nearest speaks.

    Args:
        module: The old module that had it, under the same name.

    Returns:
        The decorator; the class is changed in place, its signature stays as it is.
    """

    def decorate(cls: _C) -> _C:
        initialize = cls.__init__

        @functools.wraps(initialize)
        def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
            if next(base for base in type(self).__mro__ if base in _wrapped) is cls:
                warn_deprecated(module, cls.__name__)
            initialize(self, *args, **kwargs)

        cls.__init__ = wrapped
        _wrapped.add(cls)
        return cls

    return decorate


def _caller(frame: FrameType) -> FrameType:
    """Return the nearest frame that is not of ragtime itself, the outermost one when all are."""
    while _package(frame) == "ragtime" and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _log_once(entry: OldName, path: str, line: int) -> None:
    with _lock:
        site = (path, line, f"{entry.module}.{entry.name}")
        if site in _logged:
            return
        if len(_logged) >= _SITES:
            _logged.clear()
        _logged.add(site)
    _logger.warning(
        "A deprecated name is used",
        extra={"old": site[2], "new": entry.new, "removed_in": entry.removed_in, "path": path, "line": line},
    )
