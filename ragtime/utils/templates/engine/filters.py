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
from jinja2.filters import sync_do_slice
from jinja2.utils import htmlsafe_json_dumps, pass_eval_context

from ragtime.errors import RenderLimitError
from ragtime.utils.templates.engine.limits import current
from ragtime.utils.templates.engine.operators import ITEM, check_format
from ragtime.utils.templates.engine.plain import LEAF_TYPES

if TYPE_CHECKING:
    from jinja2.nodes import EvalContext
    from markupsafe import Markup

__all__ = ["FILTERS", "HTML_FILTERS", "METHODS", "Function", "charged", "limited", "limited_range", "make_dict"]

_MAX_WIDTH = 1000
_MAX_DIGITS = 100
_MAX_SCANNED = 100_000  # characters that a filter with a slow scan takes
_OF_ITEMS = set(
    "batch count d default first items last length list map reject rejectattr reverse select selectattr slice".split()
)
_DROPPED = {"attr", "pprint", "random"}


def limited(function: Callable[..., Any], *, of_items: bool = False) -> Callable[..., Any]:
    """Wrap a filter so that the rendering is charged for it.

    Args:
        function: The filter.
        of_items: Whether it hands on the items of a collection as they are, and looks into none.

    Returns:
        The filter, charged for the items of a collection that it is given, and for the items or characters that it
        returns.
    """
    place = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        rendering = current.get()
        rendering.charge(1)
        given = args[place]
        if isinstance(given, str) or not of_items:
            rendering.weigh(given)
        elif isinstance(given, list | dict | range):
            rendering.charge(len(given))
        return charged(function(*args, **kwargs))

    return run


def charged(found: Any) -> Any:
    """Charge a result: its characters or items at once where their number is known, else item by item."""
    if isinstance(found, str):
        current.get().make(len(found))
    elif type(found) is list or type(found) is dict:
        current.get().charge(len(found))
        current.get().make(len(found) * ITEM)
    elif type(found) is GeneratorType:
        return _counted(found)
    return found


def _counted(items: Iterator[Any]) -> Iterator[Any]:
    rendering = current.get()
    for item in items:
        rendering.charge(1)
        yield item


class Function:
    """A function or method that a template can call and do nothing else with: shown, it would tell an address."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]) -> None:
        """Hold what is called."""
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self._call(*args, **kwargs)

    def __repr__(self) -> str:
        raise TypeError("not data")


def make_dict(items: Any = (), /, **more: Any) -> dict[str, Any]:
    """Return a dict; unlike the class itself, this has no methods that change one."""
    return {**dict(items), **more}


def limited_range(*bounds: int) -> range:
    """Return a range that can be gone through within the limits."""
    numbers = range(*bounds)
    limits = current.get().limits
    if len(numbers) > limits.max_steps:
        raise RenderLimitError(f"a range of more than {limits.max_steps:,} numbers (templates.max_steps)")
    return numbers


def _check_width(width: Any, most: int = _MAX_WIDTH) -> None:
    if isinstance(width, int | float) and abs(width) > most:
        raise RenderLimitError(f"a width, depth or number of digits above {most:,}")


def _check_scan(text: Any) -> None:
    if isinstance(text, Sized) and len(text) > _MAX_SCANNED:
        raise RenderLimitError(f"a text of more than {_MAX_SCANNED:,} characters in a filter that scans slowly")


def _center(value: Any, width: int = 80) -> str:
    _check_width(width)
    return str(JINJA_FILTERS["center"](value, width))


def _indent(s: str, width: int | str = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001, FBT002 - Jinja's
    _check_width(width)
    if not isinstance(s, str):  # a list would be lengthened in place
        raise TypeError("not a text")
    current.get().amplify(len(s.splitlines()) * (len(width) if isinstance(width, str) else width), "indent")
    return str(JINJA_FILTERS["indent"](s, width, first, blank))


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    check_format(str(value), (*args, *kwargs.values()))
    return str(JINJA_FILTERS["format"](value, *args, **kwargs))


@pass_eval_context
def _replace(eval_ctx: EvalContext, s: str, old: str, new: str, count: int | None = None) -> str:
    _check_replacement(s, old, new, count)
    return str(JINJA_FILTERS["replace"](eval_ctx, s, old, new, count))


def _check_replacement(text: Any, old: Any, new: Any, count: int | None) -> None:
    text, old, new = str(text), str(old), str(new)
    times = text.count(old) if count is None or count < 0 else min(count, text.count(old))
    current.get().amplify(times * max(0, len(new) - len(old)), "replace")


@pass_eval_context
def _join(eval_ctx: EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    items = list(value)
    _check_join(items, str(d))
    return JINJA_FILTERS["join"](eval_ctx, items, d, attribute)  # type: ignore[no-any-return]


def _check_join(items: list[Any], separator: str) -> None:
    """Look at what joining makes beyond the texts that are there: separators, and texts that stand there again."""
    current.get().charge(len(items))
    for item in items:
        current.get().weigh(item, 0 if isinstance(item, str) else 1)
    texts = [item for item in items if isinstance(item, str)]
    again = sum(map(len, texts)) - sum(len(text) for text in {id(text): text for text in texts}.values())
    current.get().amplify(again + len(separator) * len(items), "join")


def _batch(value: Iterable[Any], linecount: int, fill_with: Any = None) -> Iterator[list[Any]]:
    if fill_with is not None:
        current.get().amplify(linecount, "batch")
    return JINJA_FILTERS["batch"](value, linecount, fill_with)  # type: ignore[no-any-return]


def _slice(value: Any, slices: int, fill_with: Any = None) -> Iterator[list[Any]]:
    current.get().charge(max(0, slices))
    return sync_do_slice(value, slices, fill_with)


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    _check_width(precision, _MAX_DIGITS)
    return float(JINJA_FILTERS["round"](value, precision, method))


def _wordwrap(*args: Any, **kwargs: Any) -> str:
    _check_scan(args[1])
    longest = max((len(option) for option in (*args[2:], *kwargs.values()) if isinstance(option, str)), default=0)
    current.get().amplify(len(str(args[1])) * longest, "wordwrap")
    return str(JINJA_FILTERS["wordwrap"](*args, **kwargs))


_wordwrap.jinja_pass_arg = JINJA_FILTERS["wordwrap"].jinja_pass_arg  # type: ignore[attr-defined]


def _urlize(*args: Any, **kwargs: Any) -> Any:
    _check_scan(args[1])
    longest = max((len(option) for option in (*args[2:], *kwargs.values()) if isinstance(option, str)), default=0)
    current.get().amplify(str(args[1]).count(".") * longest, "urlize")
    return JINJA_FILTERS["urlize"](*args, **kwargs)


_urlize.jinja_pass_arg = JINJA_FILTERS["urlize"].jinja_pass_arg  # type: ignore[attr-defined]


def _striptags(value: Any) -> str:
    _check_scan(value)
    return str(JINJA_FILTERS["striptags"](value))


def _to_json(value: Any, indent: int | None = None) -> str:
    _check_json(value, indent)
    return json.dumps(value, ensure_ascii=False, indent=indent, default=_json_value, allow_nan=False)


def _to_script_json(value: Any, indent: int | None = None) -> Markup:
    _check_json(value, indent)
    return htmlsafe_json_dumps(value, indent=indent, default=_json_value, allow_nan=False)


def _check_json(value: Any, indent: int | None) -> None:
    """Look at what indentation makes: each item of nested data is indented by all levels above it."""
    _check_width(indent, 16)
    rendering = current.get()
    before = rendering.steps
    rendering.weigh(value, 1)
    if indent:
        rendering.amplify((before - rendering.steps) * indent * _depth(value), "tojson")


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return 1 + max(map(_depth, inner), default=0)


def _int(value: Any, default: int = 0, base: int = 10) -> int:
    if isinstance(value, str) and len(value) > _MAX_WIDTH:
        raise RenderLimitError(f"a number of more than {_MAX_WIDTH:,} digits")
    return int(JINJA_FILTERS["int"](value, default, base))


def _json_value(value: Any) -> str:
    if type(value) in LEAF_TYPES or isinstance(value, Undefined):  # which raises its own error
        return str(value)
    raise TypeError("not data")


_CAPPED: dict[str, Callable[..., Any]] = {
    "batch": _batch,
    "center": _center,
    "format": _format,
    "indent": _indent,
    "int": _int,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "slice": _slice,
    "striptags": _striptags,
    "urlize": _urlize,
    "wordwrap": _wordwrap,
}
HTML_FILTERS: dict[str, Callable[..., Any]] = {
    name: limited(function, of_items=name in _OF_ITEMS)
    for name, function in {**JINJA_FILTERS, **_CAPPED, "tojson": _to_script_json}.items()
    if name not in _DROPPED
}
"""The filters of pages: ``tojson`` writes what may stand in a script."""

FILTERS: dict[str, Callable[..., Any]] = {**HTML_FILTERS, "tojson": limited(_to_json)}
"""The filters of prompts: ``tojson`` writes JSON as people write it."""


def _method_replace(text: str, old: str, new: str, count: int = -1) -> str:
    _check_replacement(text, old, new, count)
    return text.replace(old, new, count)


def _method_join(text: str, items: Iterable[str]) -> str:
    parts = list(items)
    _check_join(parts, text)
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
