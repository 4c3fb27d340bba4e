"""What annotations say of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from ragtime.migration.codemod.source import dotted_name, name_of
from ragtime.migration.codemod.values import (
    Imported,
    Instance,
    Items,
    LocalClass,
    LocalObject,
    New,
    Other,
    Value,
    joined,
    old_class,
)

if TYPE_CHECKING:
    from libcst.metadata import Scope

__all__ = ["Annotations"]

_SEQUENCES = frozenset(
    {"Collection", "Deque", "Iterable", "Iterator", "List", "MutableSequence", "Sequence", "Tuple", "list", "tuple"}
)
_WRAPPED = frozenset({"Annotated", "ClassVar", "Final", "InitVar", "NotRequired", "Optional", "ReadOnly", "Required"})


class Annotations:
    """Reads annotations."""

    def __init__(self, named: Callable[[str, Scope], Value]) -> None:
        """Look up names where the text does.

        Args:
            named: Tells what is known of a name in a scope.
        """
        self._named = named

    def value(self, node: cst.BaseExpression, scope: Scope) -> Value:
        """Return what is known of a value with an annotation.

        Args:
            node: The annotation, or a part of one; it may be a string.
            scope: Where its names are looked up.

        Returns:
            What is known.
        """
        match node:
            case cst.SimpleString():
                return self._quoted(node, scope)
            case cst.Name("None"):
                return Other(is_none=True)
            case cst.Name() | cst.Attribute():
                return _object_of(self._class(node, scope), dotted_name(node))
            case cst.BinaryOperation(operator=cst.BitOr()):
                return joined([self.value(node.left, scope), self.value(node.right, scope)])
            case cst.Subscript():
                return self._generic(node, scope)
        return None

    def _generic(self, node: cst.Subscript, scope: Scope) -> Value:
        outer = name_of(node.value)
        inner = [self.value(one.slice.value, scope) for one in node.slice if isinstance(one.slice, cst.Index)]
        if outer in _SEQUENCES and inner and isinstance(inner[0], Instance):
            return Items(inner[0].cls)
        if outer == "Union":
            return joined(inner)
        return inner[0] if inner and outer in _WRAPPED else None

    def _quoted(self, node: cst.SimpleString, scope: Scope) -> Value:
        try:
            return self.value(cst.parse_expression(str(node.evaluated_value)), scope)
        except cst.ParserSyntaxError:
            return None

    def _class(self, node: cst.Name | cst.Attribute, scope: Scope) -> Value:
        """Return what is known of a class by its name; the node may be of a string, which has no scope of its own."""
        if isinstance(node, cst.Name):
            return self._named(node.value, scope)
        module = self._named(dotted_name(node.value), scope)
        if isinstance(module, Imported) and not module.name:
            return Imported(module.found, node.attr.value)
        return module if isinstance(module, New) else None


def _object_of(cls: Value, name: str) -> Value:
    """Return what is known of an object of a class."""
    if isinstance(cls, Imported):
        old = old_class(cls)
        return Instance(old) if old else None
    if isinstance(cls, LocalClass):
        return LocalObject(cls.node)
    if isinstance(cls, New):
        return cls
    return Other() if isinstance(cls, Other) and name not in {"object", "type"} else None
