"""Values as plain data: what a template sees of a caller's objects is data that was copied, never the objects.

A template can then reach no method and no property of a caller's object. Reading an object runs none of its code
either: fields are taken from where Python keeps them, and what a subclass overrides is passed by.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import types
import uuid
import zoneinfo
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

__all__ = ["DATE_TYPES", "LEAF_TYPES", "TrustedHTML", "UnsupportedValueError", "kind_of", "plain"]

DATE_TYPES = frozenset({date, datetime, time, timedelta})
LEAF_TYPES = frozenset({str, int, float, bool, type(None), Decimal, *DATE_TYPES})
_SIMPLE = frozenset({str, int, float, bool, type(None)})
_ZONES = frozenset({type(None), timezone, zoneinfo.ZoneInfo})
_TOLD = frozenset({uuid.UUID, type(Path()), type(PurePath()), PurePosixPath, PureWindowsPath})
_MAX_DEPTH = 60
_MISSING = object()


class UnsupportedValueError(Exception):
    """A value cannot be shown to a template; the text names types and the way to it, never a value."""


class TrustedHTML(str):
    """HTML that its maker vouches for: pages write it as it is, prompts as text.

    This is the one way past the escaping of pages, and it has to be taken by name.
    """

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def kind_of(value: object) -> str:
    """Name the type of a value for an error's text."""
    return type(value).__name__[:60]


def plain(value: Any) -> Any:
    """Copy a value into plain data.

    Args:
        value: Texts, numbers, booleans, ``None``, dates and times, decimals; UUIDs, paths and members of enumerations,
            which become what they stand for; lists and tuples, which become lists; named tuples, dicts with text keys,
            dataclasses and pydantic models, which become dicts of their fields.

    Returns:
        Plain data; subclasses of the plain types become the plain type, so that a ``Markup`` is a mere text.

    Raises:
        UnsupportedValueError: Something else, such as a function, a set or an open file, or too deep a nesting.
    """
    return value if type(value) in _SIMPLE else _copy(value, 0)


def _copy(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in _SIMPLE:
        return value
    if depth > _MAX_DEPTH:
        raise UnsupportedValueError(f"a value nested deeper than {_MAX_DEPTH} levels, or into itself")
    if kind is list or kind is tuple:
        return [item if type(item) in _SIMPLE else _copy(item, depth + 1) for item in value]
    if kind is dict:
        return _dict(value.items(), depth)
    return _copy_special(value, kind, depth)


def _dict(items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
    found = {}
    for key, value in items:
        if type(key) is not str:
            key = _key(key)  # noqa: PLW2901 - the plain form of the same key
        found[key] = value if type(value) in _SIMPLE else _copy(value, depth + 1)
    return found


def _key(key: Any) -> Any:
    found = _copy_special(key, type(key), 0) if type(key) not in _SIMPLE else key
    if type(found) not in {str, int}:
        raise UnsupportedValueError(f"a dict with a key of type {kind_of(key)}")
    return found


def _copy_special(value: Any, kind: type, depth: int) -> Any:
    if kind is TrustedHTML:
        return value
    if kind in LEAF_TYPES:
        if kind in {datetime, time} and type(value.tzinfo) not in _ZONES:
            raise UnsupportedValueError(f"a {kind.__name__} with a time zone of type {kind_of(value.tzinfo)}")
        return value
    if issubclass(kind, enum.Enum):
        return _copy(_slot(value, kind, "_value_"), depth + 1)
    if kind in _TOLD:
        return str(value)
    for base, read in _BASES.items():
        if issubclass(kind, base):
            return read(value)
    return _copy_fields(value, kind, depth)


def _utc(value: datetime) -> datetime:
    # A subclass such as a pandas Timestamp; its zone is asked by the base class, so only known zones will do.
    zone = datetime.tzinfo.__get__(value)
    if type(zone) not in _ZONES:
        raise UnsupportedValueError(f"a datetime with a time zone of type {kind_of(zone)}")
    return datetime.combine(datetime.date(value), datetime.time(value), zone or None)


_BASES: dict[type, Any] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    datetime: _utc,
    date: lambda value: date(date.year.__get__(value), date.month.__get__(value), date.day.__get__(value)),
}
"""What reads a subclass of a plain type without running the subclass's own methods."""


def _copy_fields(value: Any, kind: type, depth: int) -> Any:
    if issubclass(kind, dict):
        return _dict(dict.items(value), depth)
    if issubclass(kind, tuple):
        names = next((base.__dict__["_fields"] for base in kind.__mro__ if "_fields" in base.__dict__), None)
        items = list(tuple.__iter__(value))
        if type(names) is tuple and len(names) == len(items):
            return _dict(zip(names, items, strict=True), depth)
        return [_copy(item, depth + 1) for item in items]
    if issubclass(kind, list):
        return [_copy(item, depth + 1) for item in list.__iter__(value)]
    names = _field_names(kind)
    if names is None:
        hint = "; pass a sorted list" if issubclass(kind, set | frozenset) else "; pass plain data made from it"
        raise UnsupportedValueError(f"a value of type {kind_of(value)}{hint}")
    fields = ((name, _slot(value, kind, name)) for name in names)
    return _dict(((name, field) for name, field in fields if field is not _MISSING), depth)


def _field_names(kind: type) -> list[str] | None:
    """Return the names of the fields of a dataclass or pydantic model; ``None`` for any other type."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    pydantic = sys.modules.get("pydantic")  # a model can only come from somebody who has imported it
    if pydantic is not None and issubclass(kind, pydantic.BaseModel):
        return list(kind.__pydantic_fields__)  # type: ignore[attr-defined]
    return None


def _slot(value: Any, kind: type, name: str) -> Any:
    """Read what an instance stores under a name: from its own dict or a slot, never through a property."""
    try:
        stored = object.__getattribute__(value, "__dict__")
    except AttributeError:
        stored = {}
    if type(stored) is dict and name in stored:
        return stored[name]
    for base in kind.__mro__:
        member = base.__dict__.get(name)
        if isinstance(member, types.MemberDescriptorType):
            try:
                return member.__get__(value)
            except AttributeError:
                return _MISSING
    return _MISSING
