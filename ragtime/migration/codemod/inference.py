"""What a text itself says of its values: constructors, annotations, and what old calls return; nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import libcst as cst
from libcst.metadata import Assignment, BaseAssignment, BuiltinAssignment, ImportAssignment, Scope

from ragtime.migration.codemod.annotations import Annotations
from ragtime.migration.codemod.calls import is_new_call
from ragtime.migration.codemod.imports import FoundImports, OldImport, is_of_ragtime
from ragtime.migration.codemod.local_classes import LocalClasses
from ragtime.migration.codemod.source import Source, dotted_name, name_of
from ragtime.migration.codemod.values import (
    Bound,
    Changed,
    Hearsay,
    Imported,
    Instance,
    Items,
    LocalClass,
    LocalFunction,
    LocalObject,
    New,
    Other,
    Value,
    is_told,
    joined,
    old_class,
    old_entry,
    returned,
)
from ragtime.migration.members import RETURNS, ClassName, find_member

__all__ = ["Inference"]

_SAME = frozenset({"copy", "deepcopy", "iter", "list", "reversed", "sorted", "tuple"})
_PLAIN = (
    cst.BaseNumber, cst.BaseString, cst.BaseDict, cst.BaseSet, cst.List, cst.Tuple, cst.Comparison, cst.UnaryOperation,
    cst.Lambda, cst.GeneratorExp, cst.SetComp, cst.Ellipsis,
)  # fmt: skip


class Inference:
    """Tells of an expression what it is.

    Attributes:
        source: The text.
        annotations: What annotations say.
        classes: The classes of the text.
    """

    def __init__(self, source: Source, found: FoundImports, hearsay: Hearsay) -> None:
        """Know of the imports.

        Args:
            source: The text.
            found: Its imports of old modules.
            hearsay: What other texts tell.
        """
        self._handed_on = hearsay.handed_on
        self.source = source
        self.annotations = Annotations(self.named)
        self.classes = LocalClasses(source, self)
        self._imports: dict[tuple[cst.CSTNode, str], list[OldImport]] = {}
        for one in found.imports:
            self._imports.setdefault((one.statement, one.local), []).append(one)
        self._known: dict[tuple[str, cst.CSTNode], Value] = {}
        self._busy: set[tuple[str, cst.CSTNode]] = set()

    def value(self, node: cst.BaseExpression) -> Value:
        """Return what is known of an expression."""
        return self._once(("value", node), lambda: self._value(node))

    def _once(self, key: tuple[str, cst.CSTNode], find: Callable[[], Value]) -> Value:
        if key in self._busy:
            return None
        if key not in self._known:
            self._busy.add(key)
            found = find()
            self._busy.discard(key)
            if self._busy:  # what was found may rest on something that is only being looked at
                return found
            self._known[key] = found
        return self._known[key]

    def _value(self, node: cst.BaseExpression) -> Value:  # noqa: C901, PLR0911 - one line a kind of expression
        match node:
            case cst.Name("None"):
                return Other(is_none=True)
            case cst.Name():
                return self.named(node.value, self.source.scope(node))
            case cst.Attribute():
                return self.attribute(self.value(node.value), node)
            case cst.Call(args=[kind, given]) if name_of(node.func) == "cast":
                return self._said(kind.value, given.value)
            case cst.Call():
                return self._called(node)
            case cst.Subscript():
                return self._subscript(node)
            case cst.Await() | cst.NamedExpr() | cst.StarredElement():
                inner = node.expression if isinstance(node, cst.Await) else node.value
                return self.value(inner)
            case cst.IfExp():
                return joined([self.value(node.body), self.value(node.orelse)])
            case cst.BooleanOperation():
                return joined([self.value(node.left), self.value(node.right)])
            case cst.BinaryOperation():
                parts = joined([self.value(node.left), self.value(node.right)])
                return parts if isinstance(parts, Items) else Other()
            case cst.ListComp():
                element = self.value(node.elt)
                return Items(element.cls) if isinstance(element, Instance) else Other()
        return Other() if isinstance(node, _PLAIN) else None

    # --- names --------------------------------------------------------------------------------------------------

    def named(self, name: str, scope: Scope) -> Value:
        """Return what is known of a name in a scope."""
        bindings = scope[name]
        return joined([self._binding(binding) for binding in bindings]) if bindings else None

    def _binding(self, binding: BaseAssignment) -> Value:
        if isinstance(binding, BuiltinAssignment):
            return Other()
        if not isinstance(binding, Assignment):
            return None
        node = binding.node
        if isinstance(binding, ImportAssignment):
            found = self._imports.get((node, binding.name))
            if found:
                return Imported(found[0], found[0].name)
            if is_of_ragtime(node, binding.name):
                return New()
            return Other() if isinstance(node, cst.Import) else None  # what another file has made may be anything
        return self._once(("binding", node), lambda: self._bound(node))

    def _bound(self, node: cst.CSTNode) -> Value:  # noqa: C901, PLR0911 - one line a kind of binding
        if isinstance(node, cst.FunctionDef):
            return LocalFunction(node)
        if isinstance(node, cst.ClassDef):
            return LocalClass(node)
        if isinstance(node, cst.Param):
            return self._parameter(node)
        for inner, outer in self._with_parents(node):
            match outer:
                case cst.AnnAssign():
                    return self.declared(outer.annotation, outer.value)
                case cst.AssignTarget():
                    statement = self.source.parent(outer)
                    return self._unpacked(inner, node, statement.value) if isinstance(statement, cst.Assign) else None
                case cst.NamedExpr():
                    return self.value(outer.value)
                case cst.For() | cst.CompFor():
                    return self._iterated(inner, node, outer.iter)
                case cst.WithItem():
                    item = self.value(outer.item)
                    return item if isinstance(item, Instance) else None
                case cst.BaseStatement() | cst.BaseSmallStatement() | cst.Arg():
                    return None
        return None

    def declared(self, annotation: cst.Annotation, given: cst.BaseExpression | None) -> Value:
        """Return what is known of an annotated variable: what is said, and whether what it gets is made here."""
        return self._said(annotation.annotation, given)

    def _said(self, annotation: cst.BaseExpression, given: cst.BaseExpression | None) -> Value:
        value = self.annotations.value(annotation, self.source.scope(annotation))
        made = self.value(given) if given is not None else None
        same = isinstance(value, Instance) and isinstance(made, Instance) and made.is_made_here
        return replace(value, is_made_here=True) if same and isinstance(value, Instance) else value

    def _with_parents(self, node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
        inner = node
        for outer in self.source.parents(node):
            yield inner, outer
            inner = outer

    def _parameter(self, node: cst.Param) -> Value:
        if node.annotation is not None:
            return self.annotations.value(node.annotation.annotation, self.source.scope(node))
        return self.classes.self_of(node)

    def _unpacked(self, target: cst.CSTNode, name: cst.CSTNode, given: cst.BaseExpression) -> Value:
        """Return what a name gets out of a value, by its place in the target."""
        if target is name:
            return self.value(given)
        value = self.value(given)
        if isinstance(value, Changed):
            return value
        if isinstance(value, Items):
            return Instance(value.cls)
        if not isinstance(target, cst.Tuple | cst.List):
            return None
        place = next(number for number, one in enumerate(target.elements) if name in self.source.walk(one))
        if isinstance(given, cst.Tuple | cst.List) and len(given.elements) == len(target.elements):
            return self._unpacked(target.elements[place].value, name, given.elements[place].value)
        return None

    def _iterated(self, target: cst.CSTNode, name: cst.CSTNode, iterable: cst.BaseExpression) -> Value:
        if isinstance(iterable, cst.Call) and dotted_name(iterable.func) == "enumerate" and iterable.args:
            if not isinstance(target, cst.Tuple) or len(target.elements) != 2:  # noqa: PLR2004 - number and item
                return None
            if name in self.source.walk(target.elements[0]):
                return Other()
            return self._iterated(target.elements[1].value, name, iterable.args[0].value)
        value = self.value(iterable)
        if isinstance(value, Items):
            return Instance(value.cls) if target is name else None
        return value if isinstance(value, Changed) else None

    # --- attributes and calls -----------------------------------------------------------------------------------

    def attribute(self, owner: Value, node: cst.Attribute) -> Value:
        """Return what is known of an attribute of something."""
        name = node.attr.value
        match owner:
            case Imported(found, ""):
                return Imported(found, name)
            case New():
                return owner
            case Instance(cls):
                return self._member(cls, node)
            case LocalObject(local) | LocalClass(local):
                defined = self.classes.attribute(local, name)
                old = self.classes.old_base(local)
                if defined is None and old is not None and not self.classes.defines(local, name):
                    return self._member(old, node)
                return defined
            case Changed():
                return owner
            case Other():
                return Other()
        return None

    def _member(self, cls: ClassName, node: cst.Attribute) -> Value:
        member = find_member(cls, node.attr.value)
        if member is None:
            return Other()
        call = self.source.parent(node)
        if isinstance(call, cst.Call) and call.func is node:
            return Bound(cls, member)
        return returned(member.returns, f"{cls}.{member.name}")

    def _called(self, node: cst.Call) -> Value:
        function = node.func
        value = self.value(function)
        match value:
            case Imported():
                return self._made(value)
            case Bound(owner, member):
                return Other() if is_new_call(member, node) else returned(member.returns, f"{owner}.{member.name}")
            case LocalClass(local):
                return LocalObject(local)
            case LocalFunction(local):
                return self.result(local)
            case Changed() | New():
                return value
        if value is None or isinstance(function, cst.Attribute):
            handed = self._handed_on.get(name_of(function))
            if handed is not None:
                return handed
        if isinstance(function, cst.Attribute):
            return self._method_result(function)
        return self._built_in(dotted_name(function), node.args) if isinstance(value, Other) else None

    @staticmethod
    def _made(value: Imported) -> Value:
        entry = old_entry(value)
        if entry is None:
            return New() if value.found.new else None
        if entry.kind == "class":
            return Instance(ClassName(entry.module, entry.name), is_made_here=True)
        return returned(RETURNS.get((entry.module, entry.name), ""), f"{entry.module}.{entry.name}")

    def _method_result(self, function: cst.Attribute) -> Value:
        owner, name = self.value(function.value), function.attr.value
        if name == "from_dict":
            if isinstance(owner, Imported):
                old = old_class(owner)
                return Instance(old, is_made_here=True) if old else None
            return LocalObject(owner.node) if isinstance(owner, LocalClass) else None
        if isinstance(owner, Items):
            return Instance(owner.cls) if name in {"pop", "popleft"} else owner
        # What a module or a plain value has may still give back an object that it was handed.
        return Other() if isinstance(owner, Other) and isinstance(function.value, cst.BaseString) else None

    def _built_in(self, name: str, args: Sequence[cst.Arg]) -> Value:
        if name in _SAME and args:
            value = self.value(args[0].value)
            return value if isinstance(value, Items | Changed | Instance) else Other()
        if name == "next" and args:
            value = self.value(args[0].value)
            return Instance(value.cls) if isinstance(value, Items) else None
        if name == "super":
            return None
        return Other()

    def _subscript(self, node: cst.Subscript) -> Value:
        value = self.value(node.value)
        if isinstance(value, Items):
            whole = any(isinstance(element.slice, cst.Slice) for element in node.slice)
            return value if whole else Instance(value.cls)
        return value if isinstance(value, Changed) else None

    def result(self, function: cst.FunctionDef) -> Value:
        """Return what a function of the text gives back."""
        found = self._returned(function)
        if function.returns is None or is_told(found):
            return found
        return self.annotations.value(function.returns.annotation, self.source.scope(function))

    def handed_on(self) -> dict[str, Value]:
        """Return what the functions of the text give back that has another shape now, by their names."""
        found: dict[str, Value] = {}
        for node in self.source.walk():
            if isinstance(node, cst.FunctionDef):
                value = self._returned(node)
                if is_told(value):
                    name = node.name.value
                    found[name] = replace(value, via=name) if isinstance(value, Changed) else value
        return found

    def _returned(self, function: cst.FunctionDef) -> Value:
        return self._once(("result", function), lambda: self._returned_by(function))

    def _returned_by(self, function: cst.FunctionDef) -> Value:
        if any(
            name_of(one.decorator) not in {"cached_property", "classmethod", "property", "staticmethod"}
            for one in function.decorators
        ):
            return None  # a decorator may make anything of it
        values: list[Value] = []
        for node in self._own_nodes(function.body):
            if isinstance(node, cst.Yield):
                return None
            if isinstance(node, cst.Return):
                values.append(Other(is_none=True) if node.value is None else self.value(node.value))
        return joined(values)

    def _own_nodes(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the nodes of a function, not those of functions and classes in it."""
        yield node
        for child in node.children:
            if not isinstance(child, cst.FunctionDef | cst.ClassDef | cst.Lambda):
                yield from self._own_nodes(child)
