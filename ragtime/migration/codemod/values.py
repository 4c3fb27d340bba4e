"""What the codemod can know of a value: of which old class it is, or that an old call has returned it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ragtime.migration.codemod.imports import OldImport, look_up
from ragtime.migration.members import SUBCLASSES, ClassName, Member
from ragtime.migration.names import OldName

if TYPE_CHECKING:
    import libcst as cst

__all__ = [
    "Bound",
    "Changed",
    "Hearsay",
    "Imported",
    "Instance",
    "Items",
    "LocalClass",
    "LocalFunction",
    "LocalObject",
    "New",
    "Other",
    "Value",
    "is_told",
    "joined",
    "old_class",
    "old_entry",
    "returned",
]


@dataclass(frozen=True)
class Instance:
    """An object of an old class.

    Attributes:
        cls: The class.
        is_made_here: Whether a constructor in the same text has made it, so that its class depends on the import.
    """

    cls: ClassName
    is_made_here: bool = False


@dataclass(frozen=True)
class Items:
    """Several objects of an old class, in a sequence.

    Attributes:
        cls: The class.
    """

    cls: ClassName


@dataclass(frozen=True)
class Changed:
    """A value that an old call has returned, and that has another shape now, or a part of one.

    Attributes:
        origin: The old call.
        via: The function of another file that hands it on; empty when the call is in the text itself.
    """

    origin: str
    via: str = ""


@dataclass(frozen=True)
class Bound:
    """A member of an old object, not yet called.

    Attributes:
        owner: The object, or its class.
        member: The member.
    """

    owner: ClassName
    member: Member


@dataclass(frozen=True)
class Imported:
    """Something that an import of an old module has bound.

    Attributes:
        found: The import.
        name: The name in the module; empty for the module itself.
    """

    found: OldImport
    name: str


@dataclass(frozen=True)
class LocalClass:
    """A class of the text itself."""

    node: cst.ClassDef


@dataclass(frozen=True)
class LocalObject:
    """An object of a class of the text itself."""

    node: cst.ClassDef


@dataclass(frozen=True)
class LocalFunction:
    """A function of the text itself."""

    node: cst.FunctionDef


@dataclass(frozen=True)
class Other:
    """Something that is surely not of an old class.

    Attributes:
        is_none: Whether it is ``None``.
    """

    is_none: bool = False


@dataclass(frozen=True)
class New:
    """Something of ragtime itself, or what it gives back: it knows the new classes."""


Value = New | Instance | Items | Changed | Bound | Imported | LocalClass | LocalObject | LocalFunction | Other | None
"""What is known of a value; ``None`` when nothing is."""


def joined(values: Iterable[Value]) -> Value:
    """Return what is known of a value that is one of several.

    Args:
        values: What is known of each.

    Returns:
        What holds for all of them, ``None`` of the language left aside; ``None`` when they differ. What is only ever
        told, and never rewritten, is told when it holds for one of them.
    """
    found = [value for value in values if value != Other(is_none=True)]
    if not found:
        return Other(is_none=True)
    told = [value for value in found if is_told(value)]
    if told:
        return told[0]
    plain = {replace(value, is_made_here=False) if isinstance(value, Instance) else value for value in found}
    if len(plain) > 1:
        return None
    made = any(isinstance(value, Instance) and value.is_made_here for value in found)
    return replace(found[0], is_made_here=True) if made and isinstance(found[0], Instance) else found[0]


@dataclass(frozen=True)
class Hearsay:
    """What texts tell each other: names, by which one of them may mean what is in another.

    Attributes:
        handed_on: What functions give back that has another shape now, by their names.
        suspects: Names of variables and attributes of unknown type that are used like old objects.
        holders: Names of variables and attributes that hold objects of old classes, where others can get at them.
    """

    handed_on: Mapping[str, Value] = field(default_factory=dict)
    suspects: frozenset[str] = frozenset()
    holders: frozenset[str] = frozenset()

    def __or__(self, other: Hearsay) -> Hearsay:
        return Hearsay(
            {**other.handed_on, **self.handed_on}, self.suspects | other.suspects, self.holders | other.holders
        )

    def covers(self, other: Hearsay) -> bool:
        """Tell whether it holds all that another one does."""
        return (
            other.handed_on.keys() <= self.handed_on.keys()
            and other.suspects <= self.suspects
            and other.holders <= self.holders
        )


def is_told(value: Value) -> bool:
    """Tell whether a value has another shape now, whatever class objects are of: what an old call gave, or records."""
    return isinstance(value, Changed) or (isinstance(value, Items) and value.cls not in SUBCLASSES)


def returned(description: str, origin: str) -> Value:
    """Return what the table of members says of a value.

    Args:
        description: As in `Member.returns`.
        origin: The old call.

    Returns:
        What is known.
    """
    if description == "changed":
        return Changed(origin)
    if not description:
        return Other()
    cls = ClassName(*description.strip("[]").rsplit(".", 1))
    return Items(cls) if description.startswith("[") else Instance(cls)


def old_entry(value: Imported) -> OldName | None:
    """Return what the table says of an imported name; ``None`` for a module and for names of ragtime."""
    if value.found.name:
        return value.found.entry
    return look_up(value.found.module, value.name, is_wrapper=value.found.is_wrapper)[0]


def old_class(value: Imported) -> ClassName | None:
    """Return the old class that an imported name is; ``None`` when it is none."""
    entry = old_entry(value)
    return ClassName(entry.module, entry.name) if entry is not None and entry.kind == "class" else None
