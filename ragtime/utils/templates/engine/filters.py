"""Jinja's filters, and the few methods of texts, within the limits of the rendering.

Filters that go through a collection are charged for its items; those that can make much of little are looked at before
they do. Left out are ``attr`` (attributes are no data), ``random`` (the same input gives the same bytes), ``pprint``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sized
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from jinja2 import Undefined
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.utils import htmlsafe_json_dumps, pass_eval_context

from ragtime.errors import RenderLimitError
from ragtime.utils.templates.engine.limits import current
from ragtime.utils.templates.engine.operators import check_format

if TYPE_CHECKING:
    from jinja2.nodes import EvalContext
    from markupsafe import Markup

__all__ = ["FILTERS", "HTML_FILTERS", "METHODS", "charged", "limited", "limited_range"]

_MAX_WIDTH = 1000
_MAX_DIGITS = 100
_MAX_SCANNED = 100_000  # characters that a filter with a slow scan takes
_DROPPED = {"attr", "pprint", "random"}
_OF_COLLECTIONS = set(
    "batch dictsort groupby items join list map max min reject rejectattr reverse select selectattr slice sort sum "
    "unique".split()
)


def limited(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter of the application so that it is charged like one of ours.

    Args:
        function: The filter.

    Returns:
        The filter, charged for the items it is given and those it returns, and held to the size of one operation.
    """
    place = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        rendering = current.get()
        rendering.charge(1)
        before = _size(args[place])
        found = charged(function(*args, **kwargs))
        if isinstance(found, str) and len(found) > before * 10:
            rendering.check_size(len(found), "a filter")
        return found

    return run


def _size(value: Any) -> int:
    return len(value) if isinstance(value, Sized) and not isinstance(value, Undefined) else 0


def charged(found: Any) -> Any:
    """Charge the items of a result: at once where their number is known, else one by one."""
    if type(found) is list:
        current.get().charge(len(found))
    elif type(found) is GeneratorType:
        return _counted(found)
    return found


def _counted(items: Iterator[Any]) -> Iterator[Any]:
    rendering = current.get()
    for item in items:
        rendering.charge(1)
        yield item


def _of_collection(function: Callable[..., Any]) -> Callable[..., Any]:
    """Charge a filter of Jinja's for the items that it goes through and those that it returns."""
    place = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        current.get().charge(_size(args[place]))
        return charged(function(*args, **kwargs))

    return run


def limited_range(*bounds: int) -> range:
    """Return a range that can be gone through within the limits."""
    numbers = range(*bounds)
    limits = current.get().limits
    if len(numbers) > limits.max_steps:
        raise RenderLimitError(f"a range of more than {limits.max_steps:,} numbers (templates.max_steps)")
    return numbers


def _check_width(width: Any, most: int = _MAX_WIDTH) -> None:
    if isinstance(width, str):
        current.get().check_size(len(width))
    elif isinstance(width, int | float) and abs(width) > most:
        raise RenderLimitError(f"a width, depth or number of digits above {most:,}")


def _check_scan(text: Any) -> None:
    if _size(text) > _MAX_SCANNED:
        raise RenderLimitError(f"a text of more than {_MAX_SCANNED:,} characters in a filter that scans slowly")


def _center(value: Any, width: int = 80) -> str:
    _check_width(width)
    return str(JINJA_FILTERS["center"](value, width))


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002 - Jinja's
    _check_width(width)
    current.get().check_size(s.count("\n") * (len(width) if isinstance(width, str) else width), "indent")
    return str(JINJA_FILTERS["indent"](s, width, first, blank))


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    check_format(str(value))
    return str(JINJA_FILTERS["format"](value, *args, **kwargs))


@pass_eval_context
def _replace(eval_ctx: EvalContext, s: str, old: str, new: str, count: int | None = None) -> str:
    _check_replacement(s, old, new, count)
    return str(JINJA_FILTERS["replace"](eval_ctx, s, old, new, count))


def _check_replacement(text: Any, old: Any, new: Any, count: int | None) -> None:
    text, old, new = str(text), str(old), str(new)
    times = text.count(old) if count is None or count < 0 else min(count, text.count(old))
    current.get().check_size(times * max(0, len(new) - len(old)), "replace")


@pass_eval_context
def _join(eval_ctx: EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    items = list(value)
    rendering = current.get()
    rendering.charge(len(items))
    rendering.check_size(len(str(d)) * len(items), "join")
    return JINJA_FILTERS["join"](eval_ctx, items, d, attribute)  # type: ignore[no-any-return]


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Iterator[list[Any]]:
    if fill_with is not None:
        current.get().check_size(linecount, "batch")
    return JINJA_FILTERS["batch"](value, linecount, fill_with)  # type: ignore[no-any-return]


def _slice(value: Any, slices: int, fill_with: Any = None) -> Iterator[list[Any]]:
    current.get().charge(max(0, slices))
    return JINJA_FILTERS["slice"](value, slices, fill_with)  # type: ignore[no-any-return]


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    _check_width(precision, _MAX_DIGITS)
    return float(JINJA_FILTERS["round"](value, precision, method))


def _wordwrap(*args: Any, **kwargs: Any) -> str:
    _check_scan(args[1])
    for option in (*args[2:], *kwargs.values()):
        _check_width(option, _MAX_SCANNED)
    return str(JINJA_FILTERS["wordwrap"](*args, **kwargs))


_wordwrap.jinja_pass_arg = JINJA_FILTERS["wordwrap"].jinja_pass_arg  # type: ignore[attr-defined]


def _urlize(*args: Any, **kwargs: Any) -> Any:
    _check_scan(args[1])
    return JINJA_FILTERS["urlize"](*args, **kwargs)


_urlize.jinja_pass_arg = JINJA_FILTERS["urlize"].jinja_pass_arg  # type: ignore[attr-defined]


def _striptags(value: Any) -> str:
    _check_scan(value)
    return str(JINJA_FILTERS["striptags"](value))


def _to_json(value: Any, indent: int | None = None) -> str:
    _check_width(indent, 16)
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str)


def _to_script_json(value: Any, indent: int | None = None) -> Markup:
    _check_width(indent, 16)
    return htmlsafe_json_dumps(value, indent=indent, default=str)


_CAPPED: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "center": _center,
    "format": _format,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "slice": _slice,
    "striptags": _striptags,
    "urlize": _urlize,
    "wordwrap": _wordwrap,
}
HTML_FILTERS: dict[str, Callable[..., Any]] = {
    name: _of_collection(function) if name in _OF_COLLECTIONS else function
    for name, function in {**JINJA_FILTERS, **_CAPPED, "tojson": _to_script_json}.items()
    if name not in _DROPPED
}
"""The filters of pages: ``tojson`` writes what may stand in a script."""

FILTERS: dict[str, Callable[..., Any]] = {**HTML_FILTERS, "tojson": _to_json}
"""The filters of prompts: ``tojson`` writes JSON as people write it."""


def _method_replace(text: str, old: str, new: str, count: int = -1) -> str:
    _check_replacement(text, old, new, count)
    return text.replace(old, new, count)


def _method_join(text: str, items: Iterable[str]) -> str:
    parts = list(items)
    current.get().charge(len(parts))
    current.get().check_size(len(text) * len(parts), "join")
    return text.join(parts)


def _padding(name: str) -> Callable[..., str]:
    def pad(text: str, width: int, *fill: str) -> str:
        _check_width(width)
        return str(getattr(text, name)(width, *fill))

    return pad


METHODS: dict[str, Callable[..., Any]] = {
    "join": _method_join,
    "replace": _method_replace,
    **{name: _padding(name) for name in ("center", "ljust", "rjust", "zfill")},
}
"""Methods of texts that need a look at what they are given."""
