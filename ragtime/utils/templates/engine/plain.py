"""Values as plain data: what a template sees of a caller's objects is data that was copied, never the objects.

A template can then reach no method and no property of a caller's object. Reading an object runs none of its code
either: fields are taken from where Python keeps them, and what a subclass overrides is passed by.
"""

from __future__ import annotations

import abc
import dataclasses
import enum
import sys
import uuid
import zoneinfo
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import GetSetDescriptorType, MemberDescriptorType, NoneType
from typing import Any

__all__ = ["DATE_TYPES", "LEAF_TYPES", "TrustedHTML", "UnsupportedValueError", "kind_of", "plain"]

DATE_TYPES = frozenset({date, datetime, time, timedelta})
LEAF_TYPES = frozenset({str, int, float, bool, type(None), Decimal, *DATE_TYPES})
_ZONES = (type(None), timezone, zoneinfo.ZoneInfo)
_TOLD = frozenset({uuid.UUID, type(Path()), type(PurePath()), PurePosixPath, PureWindowsPath})
_MAX_DEPTH = 60
_MAX_ITEMS = 1_000_000
_OFTEN = 16  # items of a dict that are counted together
_room: ContextVar[list[int]] = ContextVar("ragtime_plain_room")
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
    return str(type.__dict__["__name__"].__get__(type(value)))[:60]


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
    if _is_simple(type(value)):
        return value
    room = _room.set([_MAX_ITEMS])
    try:
        return _copy(value, 0)
    finally:
        _room.reset(room)


def _is_simple(kind: type) -> bool:
    # Compared one by one: looking a class up in a set would run the hash of its metaclass, which may be the caller's.
    return kind is str or kind is int or kind is float or kind is bool or kind is NoneType


def _copy(value: Any, depth: int) -> Any:
    kind = type(value)
    if _is_simple(kind):
        return value
    if depth > _MAX_DEPTH:
        raise UnsupportedValueError(f"a value nested deeper than {_MAX_DEPTH} levels, or into itself")
    if kind is list or kind is tuple:
        _take(len(value))
        return [item if type(item) is str else _copy(item, depth + 1) for item in value]
    if kind is dict:
        return _dict(value.items(), depth)
    return _copy_special(value, kind, depth)


def _dict(items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in items:
        if not len(found) % _OFTEN:
            _take(_OFTEN)
        if type(key) is not str:
            key = _key(key)  # noqa: PLW2901 - the plain form of the same key
        found[key] = value if type(value) is str else _copy(value, depth + 1)
    return found


def _take(items: int) -> None:
    room = _room.get()
    room[0] -= items
    if room[0] < 0:
        raise UnsupportedValueError(f"more than {_MAX_ITEMS:,} items, shared ones counted as often as they stand there")


def _key(key: Any) -> Any:
    found = _copy(key, _MAX_DEPTH)
    if type(found) is not str and type(found) is not int:
        raise UnsupportedValueError(f"a dict with a key of type {kind_of(key)}")
    return found


def _copy_special(value: Any, kind: type, depth: int) -> Any:
    if not _has_plain_class(kind):
        raise UnsupportedValueError(f"a value of type {kind_of(value)}, whose class has a class of its own")
    if kind is TrustedHTML:
        return value
    if kind in LEAF_TYPES:
        if kind in {datetime, time}:
            _check_zone(kind, value.tzinfo)
        return value
    if issubclass(kind, enum.Enum):
        return _copy(_slot(value, kind, "_value_"), depth + 1)
    if kind in _TOLD:
        return str(value)
    for base, read in _BASES.items():
        if issubclass(kind, base):
            return read(value)
    return _copy_fields(value, kind, depth)


def _has_plain_class(kind: type) -> bool:
    """Whether the class of a class is Python's or pydantic's, so that asking the class something runs no other code."""
    meta = type(kind)
    if meta is type or meta is enum.EnumType or meta is abc.ABCMeta:
        return True
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and meta is type(pydantic.BaseModel)


def _check_zone(kind: type, zone: Any) -> None:
    if not any(type(zone) is known for known in _ZONES):
        raise UnsupportedValueError(f"a {kind.__name__} with a time zone of type {kind_of(zone)}")


def _datetime(value: datetime) -> datetime:
    """Read a subclass, such as a Timestamp of pandas; its zone is asked by the base class."""
    zone = datetime.tzinfo.__get__(value)
    _check_zone(datetime, zone)
    return datetime.combine(datetime.date(value), datetime.time(value), zone)


_BASES: dict[type, Any] = {
    str: str.__str__,
    int: int.__int__,
    float: float.__float__,
    datetime: _datetime,
    date: lambda value: date(date.year.__get__(value), date.month.__get__(value), date.day.__get__(value)),
}
"""What reads a subclass of a plain type without running the subclass's own methods."""


def _copy_fields(value: Any, kind: type, depth: int) -> Any:
    if issubclass(kind, dict):
        return _dict(dict.items(value), depth)
    if issubclass(kind, tuple):
        names = next((base.__dict__["_fields"] for base in _bases(kind) if "_fields" in base.__dict__), None)
        items = list(tuple.__iter__(value))
        if type(names) is tuple and len(names) == len(items):
            return _dict(zip(names, items, strict=True), depth)
        return [_copy(item, depth + 1) for item in items]
    if issubclass(kind, list):
        return [_copy(item, depth + 1) for item in list.__iter__(value)]
    names = _field_names(value, kind)
    if names is None:
        hint = "; pass a sorted list" if issubclass(kind, set | frozenset) else "; pass plain data made from it"
        raise UnsupportedValueError(f"a value of type {kind_of(value)}{hint}")
    fields = ((name, _slot(value, kind, name)) for name in names)
    return _dict(((name, field) for name, field in fields if field is not _MISSING), depth)


def _field_names(value: Any, kind: type) -> list[str] | None:
    """Return the names of the fields of a dataclass or pydantic model; ``None`` for any other type."""
    if any("__dataclass_fields__" in base.__dict__ for base in _bases(kind)):
        return [field.name for field in dataclasses.fields(kind)]
    pydantic = sys.modules.get("pydantic")  # a model can only come from somebody who has imported it
    if pydantic is not None and issubclass(kind, pydantic.BaseModel):
        further = _slot(value, kind, "__pydantic_extra__")
        return [*kind.__pydantic_fields__, *(further if type(further) is dict else ())]  # type: ignore[attr-defined]
    return None


def _bases(kind: type) -> tuple[type, ...]:
    return type.__dict__["__mro__"].__get__(kind)  # type: ignore[no-any-return]


def _slot(value: Any, kind: type, name: str) -> Any:
    """Read what an instance stores under a name: from its own dict or a slot, never through a property."""
    stored = _stored(value, kind)
    if name in stored:
        return stored[name]
    for base in _bases(kind):
        member = base.__dict__.get(name)
        if type(member) is MemberDescriptorType:
            try:
                found = member.__get__(value)
            except AttributeError:
                return _MISSING
            return found
        if name == "__dict__" or name in base.__dict__:
            break
    further = _slot(value, kind, "__pydantic_extra__") if not name.startswith("__") else None
    if type(further) is dict and name in further:
        return further[name]
    return _default(kind, name)


def _default(kind: type, name: str) -> Any:
    """Return the default of a dataclass's field that no instance stores, as with ``init=False``."""
    for base in _bases(kind):
        found = base.__dict__.get(name, _MISSING)
        if found is not _MISSING:
            return _MISSING if hasattr(type(found), "__get__") else found
    return _MISSING


def _stored(value: Any, kind: type) -> dict[str, Any]:
    """Return the dict of an instance, be there a property of that name or not."""
    for base in _bases(kind):
        member = base.__dict__.get("__dict__")
        if type(member) is GetSetDescriptorType:
            found = member.__get__(value)
            return found if type(found) is dict else {}
    return {}
