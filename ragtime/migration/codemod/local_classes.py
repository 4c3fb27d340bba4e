"""The classes that a text defines: what they derive from, and what their attributes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from ragtime.migration.codemod.source import Source, name_of
from ragtime.migration.codemod.values import Imported, LocalClass, LocalFunction, LocalObject, Value, joined, old_class

if TYPE_CHECKING:
    from ragtime.migration.codemod.inference import Inference
    from ragtime.migration.members import ClassName

__all__ = ["LocalClasses"]


class LocalClasses:
    """Knows the classes of a text."""

    def __init__(self, source: Source, inference: Inference) -> None:
        """Look at nothing yet.

        Args:
            source: The text.
            inference: Tells what values are.
        """
        self._source = source
        self._inference = inference
        self._tables: dict[cst.ClassDef, dict[str, list[Callable[[], Value]]]] | None = None
        self._outside: dict[str, list[tuple[cst.Attribute, cst.BaseExpression]]] = {}
        for one in source.walk():
            if isinstance(one, cst.Assign):
                for target in one.targets:
                    if isinstance(target.target, cst.Attribute):
                        self._outside.setdefault(target.target.attr.value, []).append((target.target, one.value))

    def old_base(self, node: cst.ClassDef) -> ClassName | None:
        """Return the old class that a class derives from, directly or not; ``None`` when there is none."""
        for base in self._bases(node):
            found = old_class(base) if isinstance(base, Imported) else None
            if found is None and isinstance(base, LocalClass) and base.node is not node:
                found = self.old_base(base.node)
            if found is not None:
                return found
        return None

    def _bases(self, node: cst.ClassDef) -> list[Value]:
        return [self._inference.value(arg.value) for arg in node.bases]

    def self_of(self, parameter: cst.Param) -> Value:
        """Return what ``self`` or ``cls`` is; ``None`` for any other parameter."""
        parameters = self._source.parent(parameter)
        function = self._source.parent(parameters) if isinstance(parameters, cst.Parameters) else None
        if not isinstance(parameters, cst.Parameters) or not isinstance(function, cst.FunctionDef):
            return None
        body = self._source.parent(function)
        owner = self._source.parent(body) if body is not None else None
        first = [*parameters.posonly_params, *parameters.params][:1]
        decorators = {name_of(one.decorator) for one in function.decorators}
        if not isinstance(owner, cst.ClassDef) or first != [parameter] or "staticmethod" in decorators:
            return None
        return LocalClass(owner) if "classmethod" in decorators else LocalObject(owner)

    def defines(self, node: cst.ClassDef, name: str) -> bool:
        """Tell whether a class of the text, or a base of it in the text, has an attribute of this name."""
        return name in self._table(node) or any(
            isinstance(base, LocalClass) and base.node is not node and self.defines(base.node, name)
            for base in self._bases(node)
        )

    def attribute(self, node: cst.ClassDef, name: str) -> Value:
        """Return what is known of an attribute; ``None`` when nothing is, or there is none."""
        found = self._table(node).get(name)
        if found:
            return joined([find() for find in (*found, *self._from_outside(node, name))])
        for base in self._bases(node):
            if isinstance(base, LocalClass) and base.node is not node and self.defines(base.node, name):
                return self.attribute(base.node, name)
        return None

    def _from_outside(self, node: cst.ClassDef, name: str) -> list[Callable[[], Value]]:
        """Return what is assigned to an attribute of this name of what may be an object of a class."""
        found = []
        for target, given in self._outside.get(name, ()):
            owner = self._inference.value(target.value)
            if owner is None or (isinstance(owner, LocalObject | LocalClass) and owner.node is node):
                found.append(self._given(given))
        return found

    def _table(self, node: cst.ClassDef) -> dict[str, list[Callable[[], Value]]]:
        if self._tables is None:
            self._tables = {}
            for one in self._source.walk():
                if isinstance(one, cst.ClassDef):
                    self._collect(one)
        return self._tables[node]

    def _collect(self, node: cst.ClassDef) -> None:
        assert self._tables is not None  # noqa: S101 - it is being filled
        table = self._tables.setdefault(node, {})
        for one in self._source.walk(node.body):
            if isinstance(one, cst.FunctionDef) and self._source.parent(one) is node.body:
                table.setdefault(one.name.value, []).append(self._method(one))
            elif isinstance(one, cst.Assign):
                for target in one.targets:
                    self._note(table, node, one, target.target, one.value)
            elif isinstance(one, cst.AnnAssign):
                self._note(table, node, one, one.target, one)

    def _note(
        self,
        table: dict[str, list[Callable[[], Value]]],
        node: cst.ClassDef,
        statement: cst.BaseSmallStatement,
        target: cst.BaseExpression,
        given: cst.BaseExpression | cst.AnnAssign,
    ) -> None:
        """Note an assignment, when it is in the body of the class, or to an attribute of ``self``."""
        line = self._source.parent(statement)
        in_body = line is not None and self._source.parent(line) is node.body
        if isinstance(target, cst.Attribute) and self._is_self(target.value, node):
            table.setdefault(target.attr.value, []).append(self._given(given))
        elif in_body and isinstance(target, cst.Name):
            table.setdefault(target.value, []).append(self._given(given))

    def _is_self(self, owner: cst.BaseExpression, node: cst.ClassDef) -> bool:
        value = self._inference.value(owner) if isinstance(owner, cst.Name) else None
        return isinstance(value, LocalObject | LocalClass) and value.node is node

    def _given(self, given: cst.BaseExpression | cst.AnnAssign) -> Callable[[], Value]:
        if isinstance(given, cst.AnnAssign):
            return lambda: self._inference.declared(given.annotation, given.value)
        return lambda: self._inference.value(given)

    def _method(self, function: cst.FunctionDef) -> Callable[[], Value]:
        is_property = any(name_of(one.decorator) in {"property", "cached_property"} for one in function.decorators)
        if is_property:
            return lambda: self._inference.result(function)
        return lambda: LocalFunction(function)
