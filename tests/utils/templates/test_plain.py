"""Values become plain data: every field comes through, and no code of the caller's runs."""

from __future__ import annotations

import collections
import dataclasses
import enum
import io
import types
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, PrivateAttr, RootModel, computed_field, model_serializer

from ragtime.errors import TemplateVariableError
from ragtime.utils.templates import HTMLTemplateManager, PromptManager, TrustedHTML
from ragtime.utils.templates.engine import plain
from ragtime.utils.templates.engine.plain import UnsupportedValueError

RAN: list[str] = []
NAMES = (
    "__str__ __repr__ __format__ __len__ __iter__ __getitem__ __contains__ __bool__ __eq__ __ne__ __lt__ __hash__ "
    "__call__ __html__ __html_format__ __bytes__ __int__ __float__ __index__ __add__ __radd__ __mul__ __mod__ __rmod__ "
    "__getattribute__ __getattr__ __dir__ __reduce__ __reduce_ex__ __copy__ __deepcopy__ __getstate__ __sizeof__ "
    "__enter__ __exit__ __next__ __reversed__ __missing__ __fspath__ __trunc__ __round__ __neg__ __abs__ __get__ "
    "items keys values get copy pop append strip upper encode format isoformat utcoffset dst tzname timetuple strftime "
    "model_dump dict json __pydantic_serializer__ _asdict"
).split()


def canary(name: str) -> Callable[..., Any]:
    def ran(*_: object, **__: object) -> Any:
        RAN.append(name)
        raise AssertionError(name)

    return ran


def armed(*without: str) -> dict[str, Any]:
    """Return methods and properties of all names, each of which tells when it runs."""
    members: dict[str, Any] = {name: canary(name) for name in NAMES if name not in without}
    members["secret"] = property(canary("secret"))
    members["__class__"] = property(canary("__class__"))
    return {name: member for name, member in members.items() if name not in without}


def arm(kind: type, *without: str) -> None:
    """Put the canaries on a class that is complete."""
    for name, member in armed("__class__", *without).items():
        type.__setattr__(kind, name, member)


@pytest.fixture(autouse=True)
def _no_canary_runs() -> Iterator[None]:
    RAN.clear()
    yield
    assert RAN == []


# --- what comes through ---------------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    DEEP = ("a", 1)


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.StrEnum):
    ON = "on"


class Flags(enum.Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: list[int]


@dataclasses.dataclass
class Inner:
    a: int


@dataclasses.dataclass(frozen=True, slots=True)
class Outer(collections.abc.Hashable):
    inner: Inner
    tags: tuple[str, ...] = ()
    fixed: int = dataclasses.field(default=7, init=False)
    made: list[int] = dataclasses.field(default_factory=list, repr=False, compare=False)

    def __hash__(self) -> int:
        return 0


@dataclasses.dataclass
class WithDefault:
    a: int = dataclasses.field(default=3, init=False)


class Model(BaseModel):
    name: str
    inner: Inner
    more: dict[str, int] = {}


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


ZONE = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ("", ""),
        ("\ud800\0", "\ud800\0"),
        (1, 1),
        (True, True),
        (1.5, 1.5),
        (None, None),
        ([], []),
        ((), []),
        ({}, {}),
        ([1, (2, [3])], [1, [2, [3]]]),
        ({"a": {"b": (1,)}}, {"a": {"b": [1]}}),
        ({1: "a"}, {1: "a"}),
        ({Mode.ON: 1}, {"on": 1}),
        ({uuid.UUID(int=0): 1}, {str(uuid.UUID(int=0)): 1}),
        (Decimal("1.50"), Decimal("1.50")),
        (date(2026, 1, 2), date(2026, 1, 2)),
        (time(1, 2), time(1, 2)),
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
        (timedelta(1), timedelta(1)),
        (datetime(2026, 1, 2, tzinfo=ZONE), datetime(2026, 1, 2, tzinfo=ZONE)),
        (time(1, tzinfo=timezone(timedelta(hours=1))), time(1, tzinfo=timezone(timedelta(hours=1)))),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
        (PurePosixPath("/c"), "/c"),
        (Colour.RED, "red"),
        (Colour.DEEP, ["a", 1]),
        (Level.LOW, 1),
        (Mode.ON, "on"),
        (Flags.A | Flags.B, 3),
        (Point(1, [2]), {"x": 1, "y": [2]}),
        (Outer(Inner(1), ("t",)), {"inner": {"a": 1}, "tags": ["t"], "fixed": 7, "made": []}),
        (WithDefault(), {"a": 3}),
        (Model(name="n", inner=Inner(2)), {"name": "n", "inner": {"a": 2}, "more": {}}),
        (RootModel[list[int]]([1]), {"root": [1]}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (Markup("<b>"), "<b>"),
    ],
)
def test_plain_data_comes_through(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_containers_are_copied() -> None:
    value = {"a": [1, {"b": 2}]}
    found = plain(value)
    value["a"].append(3)  # type: ignore[attr-defined]
    value["a"][1]["b"] = 9  # type: ignore[index]
    assert found == {"a": [1, {"b": 2}]}


def test_trusted_html_stays_trusted_and_its_subclass_does_not() -> None:
    class Mine(TrustedHTML):
        __slots__ = ()

    assert type(plain([TrustedHTML("<b>")])[0]) is TrustedHTML
    assert type(plain(Mine("<b>"))) is str


def test_further_fields_of_an_open_model_come_through() -> None:
    assert plain(Open(a=1, b=2)) == {"a": 1, "b": 2}  # type: ignore[call-arg]


_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.dates()
    | st.decimals(allow_nan=False)
)
_data = st.recursive(
    _leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=20
)


@given(_data)
def test_plain_data_is_its_own_copy(value: object) -> None:
    assert plain(value) == value
    assert plain(plain(value)) == plain(value)


# --- no code runs ---------------------------------------------------------------------------------------------------


def hostile_dataclass(**options: bool) -> object:
    @dataclasses.dataclass(**options)  # type: ignore[call-overload]
    class Hostile:
        a: int
        b: str = "b"

    value = Hostile(1)
    arm(Hostile, *(["__eq__", "__hash__"] if options.get("slots") else []))
    return value


class _Zone(tzinfo):
    utcoffset = dst = tzname = fromutc = canary("zone")


def hostile_model() -> object:
    class Hostile(BaseModel):
        a: int
        b: str = "b"
        _private: str = PrivateAttr("hidden")

        @computed_field  # type: ignore[prop-decorator]
        @property
        def computed(self) -> int:
            raise AssertionError(RAN.append("computed"))

        @property
        def shown(self) -> int:
            raise AssertionError(RAN.append("shown"))

        @model_serializer
        def dump(self) -> dict[str, Any]:
            raise AssertionError(RAN.append("serializer"))

    value = Hostile(a=1)
    for name in ("__str__", "__repr__", "__iter__", "__getattr__", "__eq__", "__getattribute__", "model_dump", "dict"):
        setattr(Hostile, name, canary(name))
    return value


def hostile_named_tuple() -> object:
    class Base(NamedTuple):
        a: int
        b: str

    return type("Hostile", (Base,), armed("__getattr__"))(1, "b")


def hostile_subclass(base: type, *args: object) -> object:
    value = type("Hostile", (base,), {})(*args)
    arm(type(value))
    return value


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (hostile_dataclass, {"a": 1, "b": "b"}),
        (lambda: hostile_dataclass(slots=True), {"a": 1, "b": "b"}),
        (lambda: hostile_dataclass(frozen=True), {"a": 1, "b": "b"}),
        (hostile_model, {"a": 1, "b": "b"}),
        (hostile_named_tuple, {"a": 1, "b": "b"}),
        (lambda: hostile_subclass(dict, {"a": 1}), {"a": 1}),
        (lambda: hostile_subclass(collections.OrderedDict, {"a": 1}), {"a": 1}),
        (lambda: hostile_subclass(list, [1, 2]), [1, 2]),
        (lambda: hostile_subclass(tuple, (1, 2)), [1, 2]),
        (lambda: hostile_subclass(str, "text"), "text"),
        (lambda: hostile_subclass(Markup, "<b>"), "<b>"),
        (lambda: hostile_subclass(TrustedHTML, "<b>"), "<b>"),
        (lambda: hostile_subclass(int, 3), 3),
        (lambda: hostile_subclass(float, 1.5), 1.5),
        (lambda: hostile_subclass(date, 2026, 1, 2), date(2026, 1, 2)),
        (lambda: hostile_subclass(datetime, 2026, 1, 2), datetime(2026, 1, 2)),  # noqa: DTZ001 - without a zone
        (lambda: {"k": [hostile_subclass(str, "text")]}, {"k": ["text"]}),
        (lambda: {_key(): 1}, {"key": 1}),
    ],
)
def test_fields_are_read_without_running_any_code(make: Callable[[], object], expected: object) -> None:
    value = make()
    RAN.clear()
    found = plain(value)
    assert RAN == []
    assert found == expected
    assert type(found) is type(expected)


def _key() -> str:
    class Key(str):
        __slots__ = ()

    value = Key("key")
    arm(Key, "__hash__", "__eq__")
    return value


def test_a_property_called_dict_or_class_is_not_run() -> None:
    @dataclasses.dataclass
    class Hostile:
        a: int = 1
        __dict__ = property(canary("__dict__"))  # type: ignore[assignment]
        __class__ = property(canary("__class__"))  # type: ignore[assignment]

    value = Hostile.__new__(Hostile)
    object.__setattr__(value, "a", 1)
    RAN.clear()
    assert plain(value) == {"a": 1}


def test_a_descriptor_in_the_place_of_a_field_is_not_run() -> None:
    class Descriptor:
        __get__ = __set__ = __set_name__ = canary("descriptor")

    @dataclasses.dataclass
    class Hostile:
        a: int

    value = Hostile(1)
    type.__setattr__(Hostile, "a", object.__new__(Descriptor))
    assert plain(value) == {"a": 1}


def test_a_metaclass_is_not_run() -> None:
    class Meta(type):
        pass

    @dataclasses.dataclass
    class Hostile(metaclass=Meta):
        a: int = 1

    value = Hostile()
    names = ("__getattribute__", "__getattr__", "__hash__", "__eq__", "__instancecheck__", "__subclasscheck__")
    for name in names:
        setattr(Meta, name, canary(f"meta {name}"))
    try:
        with pytest.raises(UnsupportedValueError, match="type Hostile, whose class has a class of its own"):
            plain(value)
    finally:
        for name in names:
            type.__delattr__(Meta, name)


def test_a_member_of_an_enumeration_is_read_without_its_code() -> None:
    class Hostile(enum.Enum):
        A = "a"

    for name in ("__str__", "__repr__", "__format__", "__hash__", "__getattribute__"):
        setattr(Hostile, name, canary(name))
    member = Hostile.__dict__["_member_map_"]["A"] if "_member_map_" in Hostile.__dict__ else None
    assert plain(member) == "a"
    Hostile.__hash__ = enum.Enum.__hash__  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 2, tzinfo=_Zone()),
        time(1, tzinfo=_Zone()),
        [datetime(2026, 1, 2, tzinfo=_Zone())],
        type("Stamp", (datetime,), {})(2026, 1, 2, tzinfo=_Zone()),
    ],
)
def test_a_time_zone_of_somebody_else_is_refused(value: object) -> None:
    with pytest.raises(UnsupportedValueError, match="time zone of type _Zone"):
        plain(value)


def test_an_object_is_refused_without_running_any_code() -> None:
    value = type("Hostile", (), armed("__getattribute__"))()
    other = type("Other", (), armed("__getattr__"))()
    for each in (value, other, [value], {"a": other}):
        with pytest.raises(UnsupportedValueError, match=r"a value of type (Hostile|Other)"):
            plain(each)


@pytest.mark.parametrize(
    "source",
    [
        "{{ x }}",
        "{{ x.a }}",
        "{{ x|string }}",
        "{{ x|tojson }}",
        "{{ x == x }}",
        "{{ x|length }}",
        "{% for k in x %}{{ k }}{% endfor %}",
        "{{ x|list }}",
        "{{ x ~ '' }}",
        "{{ x|e }}",
    ],
)
@pytest.mark.parametrize("make", [hostile_dataclass, hostile_model, lambda: hostile_subclass(dict, {"a": 1})])
def test_a_template_reaches_no_code_of_a_value(source: str, make: Callable[[], object]) -> None:
    value = make()
    RAN.clear()
    PromptManager().add({"name": "p", "template": source}).render(x=value)
    HTMLTemplateManager().render_string(source, x=value)
    assert RAN == []


# --- what is refused ------------------------------------------------------------------------------------------------


def _circular() -> list[object]:
    value: list[object] = ["SECRET"]
    value.append(value)
    return value


def _deep(depth: int) -> object:
    value: object = "SECRET"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "a value of type object"),
        ({"SECRET"}, "a value of type set; pass a sorted list"),
        (frozenset({"SECRET"}), "a value of type frozenset; pass a sorted list"),
        (b"SECRET", "a value of type bytes"),
        (bytearray(b"SECRET"), "a value of type bytearray"),
        (lambda: "SECRET", "a value of type function"),
        (len, "a value of type builtin_function_or_method"),
        (int, "a value of type type"),
        (io, "a value of type module"),
        ((each for each in ["SECRET"]), "a value of type generator"),
        (iter(["SECRET"]), "a value of type list_iterator"),
        (range(3), "a value of type range"),
        (io.StringIO("SECRET"), "a value of type StringIO"),
        (1j, "a value of type complex"),
        (Fraction(1, 2), "a value of type Fraction"),
        (types.SimpleNamespace(a="SECRET"), "a value of type SimpleNamespace"),
        (collections.deque(["SECRET"]), "a value of type deque"),
        (types.MappingProxyType({"a": "SECRET"}), "mappingproxy"),
        ({"a": 1}.items(), "dict_items"),
        (Exception("SECRET"), "a value of type Exception"),
        (..., "ellipsis"),
        (NotImplemented, "NotImplementedType"),
        (Inner, "a value of type type"),
        (Model, "ModelMetaclass"),
        ({(1, 2): "SECRET"}, "a dict with a key of type tuple"),
        ({None: "SECRET"}, "a dict with a key of type NoneType"),
        ({True: "SECRET"}, "a dict with a key of type bool"),
        ({1.5: "SECRET"}, "a dict with a key of type float"),
        ({b"SECRET": 1}, "bytes"),
        (_circular(), "nested deeper than 60"),
        (_deep(100), "nested deeper than 60"),
        (_deep(5_000), "nested deeper than 60"),
        (memoryview(b"SECRET"), "memoryview"),
    ],
)
def test_what_is_no_data_is_refused_by_its_type(value: object, told: str) -> None:
    for given_value in (value, [value], {"a": value}):
        with pytest.raises(UnsupportedValueError, match=told) as caught:
            plain(given_value)
        assert "SECRET" not in str(caught.value)
    with pytest.raises(TemplateVariableError, match=r"x( \(line 1\))?: cannot be shown to a template: found") as caught:
        PromptManager().add({"name": "p", "template": "{{ x }}"}).render(x=value)
    assert "SECRET" not in str(caught.value)
    with pytest.raises(TemplateVariableError, match="x: cannot be shown to a template: found"):
        HTMLTemplateManager().render_string("{{ x }}", x=value)


def test_sixty_levels_are_allowed() -> None:
    assert plain(_deep(60)) == _deep(60)
    with pytest.raises(UnsupportedValueError):
        plain(_deep(62))


def test_the_name_of_a_type_is_cut() -> None:
    with pytest.raises(UnsupportedValueError) as caught:
        plain(type("T" * 10_000, (), {})())
    assert len(str(caught.value)) < 200


def test_a_long_key_is_a_key() -> None:
    assert plain({"k" * 1_000_000: 1}) == {"k" * 1_000_000: 1}


def test_the_hidden_of_a_model_does_not_come_through() -> None:
    class Secretive(BaseModel):
        a: int = 1
        _hidden: str = PrivateAttr("SECRET")

    value = Secretive()
    value.__dict__["cached"] = "SECRET"
    assert plain(value) == {"a": 1}
