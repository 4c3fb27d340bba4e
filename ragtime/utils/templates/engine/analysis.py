"""What a template needs and what it refers to, read from its syntax tree without rendering it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jinja2 import nodes

from ragtime.utils.templates.engine.engine import Source, TemplateEngine, syntax_errors

__all__ = ["TemplateFacts", "analyse"]

_GLOBALS = frozenset({"dict", "namespace", "range"})
_OWN_BLOCKS = "self"  # self.title() writes the block of that name once more
_DEFAULTING = frozenset({"d", "default"})
_ASKING = frozenset({"defined", "undefined"})


@dataclass(frozen=True)
class TemplateFacts:
    """What a template needs.

    Attributes:
        required: Variables without which it cannot be rendered, each with the line of its first use.
        optional: Variables that it uses only behind ``is defined`` or ``default``, each with the line of its first use.
        perhaps: Names that it reads and also sets somewhere, such as in one branch only, each with the line of its
            first reading: variables, perhaps.
        tested: Those of the required ones that it uses only behind ``{% if name %}``, or in it.
        references: Names of the templates that it includes, extends or imports, each with its line.
        bound: The names that are set, or made sure of, wherever each of these is referred to, and which it sees.
        dynamic: Lines on which such a name is computed, and so cannot be known.
        unescaped: Lines on which a value is marked as safe HTML.
    """

    required: Mapping[str, int] = field(default_factory=dict)
    optional: Mapping[str, int] = field(default_factory=dict)
    perhaps: Mapping[str, int] = field(default_factory=dict)
    tested: frozenset[str] = frozenset()
    references: Mapping[str, int] = field(default_factory=dict)
    bound: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dynamic: tuple[int, ...] = ()
    unescaped: tuple[int, ...] = ()

    @property
    def used(self) -> dict[str, int]:
        """The required and the optional variables, each with the line of its first use."""
        return {**self.optional, **self.required}


def analyse(engine: TemplateEngine, source: Source) -> TemplateFacts:
    """Read what a template needs.

    A name that the template itself sets, as a loop, ``set``, ``import``, or parameter of a macro does, is no variable
    where it is set.

    Args:
        engine: Parses the template.
        source: The template.

    Returns:
        The facts of this template alone, without those that it refers to.

    Raises:
        TemplateSyntaxError: It cannot be parsed.
    """
    tree = engine.parse(source)
    walk = _Walk()
    with syntax_errors(source):  # one that is nested too deeply
        walk.visit_all(tree.body, _Scope())
    return TemplateFacts(
        required=(required := {**walk.tested, **walk.required}),
        optional={name: line for name, line in walk.optional.items() if name not in required},
        perhaps={name: line for name, line in walk.perhaps.items() if name not in required},
        tested=frozenset(walk.tested.keys() - walk.required.keys()),
        references=walk.references,
        bound={name: frozenset(names) for name, names in walk.bound.items()},
        dynamic=tuple(walk.dynamic),
        unescaped=tuple(node.lineno for node in tree.find_all(nodes.Filter) if _is_safe(node)),
    )


@dataclass
class _Scope:
    """What is known of names at one place of a template.

    Attributes:
        bound: Names that are set.
        maybe: Names that are set in some branch before.
        guarded: Names that the template has made sure of.
    """

    bound: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()
    guarded: frozenset[str] = frozenset()

    def inner(self, names: Iterable[str] = (), guarded: Iterable[str] = ()) -> _Scope:
        """Return a scope in this one, in which further names are set or made sure of."""
        return _Scope(self.bound | set(names), self.maybe, self.guarded | set(guarded))


class _Walk:
    """Goes through a template in its order, and notes what it reads."""

    def __init__(self) -> None:
        self.required: dict[str, int] = {}
        self.optional: dict[str, int] = {}
        self.perhaps: dict[str, int] = {}
        self.tested: dict[str, int] = {}
        self.references: dict[str, int] = {}
        self.bound: dict[str, set[str]] = {}
        self.dynamic: list[int] = []

    def visit_all(self, body: Iterable[nodes.Node], scope: _Scope) -> _Scope:
        """Go through nodes, each seeing what those before have set; returns the scope after them."""
        for node in body:
            scope = self.visit(node, scope)
        return scope

    def visit(self, node: nodes.Node, scope: _Scope) -> _Scope:
        """Go through a node; returns the scope after it."""
        handle = getattr(self, f"_visit_{type(node).__name__.lower()}", None)
        if handle is not None:
            after = handle(node, scope)
            return after if isinstance(after, _Scope) else scope
        for child in node.iter_child_nodes():
            after = self.visit(child, scope)
            scope = after if isinstance(child, nodes.Stmt) else scope
        return scope

    def _visit_name(self, node: nodes.Name, scope: _Scope) -> None:
        name, line = node.name, node.lineno
        if node.ctx != "load" or name in scope.bound or name in _GLOBALS:
            return
        kept = self.perhaps if name in scope.maybe else self.optional if name in scope.guarded else self.required
        kept[name] = min(line, kept.get(name, line))

    def _visit_for(self, node: nodes.For, scope: _Scope) -> None:
        self.visit(node.iter, scope)
        inner = scope.inner(_targets(node.target))
        if node.test is not None:
            self.visit(node.test, inner)
        self.visit_all(node.body, inner.inner({"loop"}))
        self.visit_all(node.else_, scope)

    def _visit_macro(self, node: nodes.Macro, scope: _Scope) -> _Scope:
        self._visit_parameters(node, scope, {node.name, "caller", "kwargs", "varargs"})
        return scope.inner({node.name})

    def _visit_callblock(self, node: nodes.CallBlock, scope: _Scope) -> None:
        self.visit(node.call, scope)
        self._visit_parameters(node, scope, set())

    def _visit_parameters(self, node: nodes.Macro | nodes.CallBlock, scope: _Scope, further: set[str]) -> None:
        for default in node.defaults:
            self.visit(default, scope)
        self.visit_all(node.body, scope.inner(further | {arg.name for arg in node.args}))

    def _visit_assign(self, node: nodes.Assign, scope: _Scope) -> _Scope:
        self.visit(node.node, scope)
        return self._visit_target(node.target, scope)

    def _visit_assignblock(self, node: nodes.AssignBlock, scope: _Scope) -> _Scope:
        if node.filter is not None:
            self.visit(node.filter, scope)
        self.visit_all(node.body, scope)
        return self._visit_target(node.target, scope)

    def _visit_target(self, target: nodes.Node, scope: _Scope) -> _Scope:
        for reference in target.find_all(nodes.NSRef) if not isinstance(target, nodes.NSRef) else [target]:
            self._visit_name(nodes.Name(reference.name, "load", lineno=reference.lineno), scope)
        return scope.inner(_targets(target))

    def _visit_with(self, node: nodes.With, scope: _Scope) -> None:
        for value in node.values:
            self.visit(value, scope)
        self.visit_all(node.body, scope.inner(name for target in node.targets for name in _targets(target)))

    def _visit_block(self, node: nodes.Block, scope: _Scope) -> None:
        self.visit_all(node.body, scope.inner({"super"}))

    def _visit_getattr(self, node: nodes.Getattr, scope: _Scope) -> None:
        if not (isinstance(node.node, nodes.Name) and node.node.name == _OWN_BLOCKS):
            self.visit(node.node, scope)

    def _visit_filterblock(self, node: nodes.FilterBlock, scope: _Scope) -> None:
        self.visit(node.filter, scope)
        self.visit_all(node.body, scope)

    # --- references ---------------------------------------------------------------------------------------------

    def _visit_extends(self, node: nodes.Extends, _: _Scope) -> None:
        self._refer(node, _Scope())

    def _visit_include(self, node: nodes.Include, scope: _Scope) -> None:
        self._refer(node, scope if node.with_context else _Scope())

    def _visit_import(self, node: nodes.Import, scope: _Scope) -> _Scope:
        self._refer(node, scope if node.with_context else _Scope())
        return scope.inner({node.target})

    def _visit_fromimport(self, node: nodes.FromImport, scope: _Scope) -> _Scope:
        self._refer(node, scope if node.with_context else _Scope())
        return scope.inner(name[1] if isinstance(name, tuple) else name for name in node.names)

    def _refer(self, node: nodes.Extends | nodes.FromImport | nodes.Import | nodes.Include, scope: _Scope) -> None:
        names = _constant_names(node.template)
        if names is None:
            self.dynamic.append(node.lineno)
            self.visit(node.template, scope)
        for name in names or ():
            self.references.setdefault(name, node.lineno)
            here = set(scope.bound | scope.guarded)
            self.bound[name] = self.bound[name] & here if name in self.bound else here

    # --- what makes sure of a variable --------------------------------------------------------------------------

    def _visit_filter(self, node: nodes.Filter, scope: _Scope) -> None:
        if node.node is not None:
            sure = {node.node.name} if node.name in _DEFAULTING and isinstance(node.node, nodes.Name) else set()
            self.visit(node.node, scope.inner(guarded=sure))
        for argument in (*node.args, *(option.value for option in node.kwargs)):
            self.visit(argument, scope)

    def _visit_test(self, node: nodes.Test, scope: _Scope) -> None:
        sure = {node.node.name} if node.name in _ASKING and isinstance(node.node, nodes.Name) else set()
        self.visit(node.node, scope.inner(guarded=sure))
        for argument in (*node.args, *(option.value for option in node.kwargs)):
            self.visit(argument, scope)

    def _visit_if(self, node: nodes.If, scope: _Scope) -> _Scope:
        ends: list[_Scope] = []
        tried = scope
        for branch in (node, *node.elif_):
            self._visit_truth(branch.test, tried)
            ends.append(self.visit_all(branch.body, tried.inner(guarded=_assured(branch.test))))
            tried = tried.inner(guarded=_denied(branch.test))
        ends.append(self.visit_all(node.else_, tried))
        every = frozenset.intersection(*(end.bound for end in ends))
        some = frozenset.union(*(end.bound | end.maybe for end in ends))
        return _Scope(every, scope.maybe | (some - every), scope.guarded)

    def _visit_truth(self, test: nodes.Node, scope: _Scope) -> None:
        """Go through a test; a name alone is asked for its truth."""
        if isinstance(test, nodes.Name) and test.name not in scope.bound | scope.maybe | scope.guarded | _GLOBALS:
            self.tested.setdefault(test.name, test.lineno)
        elif isinstance(test, nodes.Not):
            self._visit_truth(test.node, scope)
        elif isinstance(test, nodes.And):
            self._visit_truth(test.left, scope)
            self._visit_truth(test.right, scope.inner(guarded=_assured(test.left)))
        elif isinstance(test, nodes.Or):
            self._visit_truth(test.left, scope)
            self._visit_truth(test.right, scope.inner(guarded=_denied(test.left)))
        else:
            self.visit(test, scope)

    def _visit_condexpr(self, node: nodes.CondExpr, scope: _Scope) -> None:
        self._visit_truth(node.test, scope)
        self.visit(node.expr1, scope.inner(guarded=_assured(node.test)))
        if node.expr2 is not None:
            self.visit(node.expr2, scope.inner(guarded=_denied(node.test)))

    def _visit_and(self, node: nodes.And, scope: _Scope) -> None:
        self.visit(node.left, scope)
        self.visit(node.right, scope.inner(guarded=_assured(node.left)))

    def _visit_or(self, node: nodes.Or, scope: _Scope) -> None:
        self.visit(node.left, scope)
        self.visit(node.right, scope.inner(guarded=_denied(node.left)))


def _targets(target: nodes.Node) -> set[str]:
    names = [target] if isinstance(target, nodes.Name) else [*target.find_all(nodes.Name)]
    return {name.name for name in names}


def _is_safe(node: nodes.Filter) -> bool:
    mapped = [arg.value for arg in node.args if isinstance(arg, nodes.Const)] if node.name == "map" else []
    return node.name == "safe" or "safe" in mapped


def _constant_names(node: nodes.Node) -> list[str] | None:
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, nodes.List | nodes.Tuple):
        found = [_constant_names(item) for item in node.items]
        return None if None in found else [name for names in found for name in names or ()]
    return None


def _assured(test: nodes.Node) -> frozenset[str]:
    """Return the names that are there when `test` holds."""
    if isinstance(test, nodes.Name):
        return frozenset({test.name})
    if isinstance(test, nodes.And):
        return _assured(test.left) | _assured(test.right)
    if isinstance(test, nodes.Not):
        return _denied(test.node)
    if isinstance(test, nodes.Test) and test.name == "defined" and isinstance(test.node, nodes.Name):
        return frozenset({test.node.name})
    return frozenset()


def _denied(test: nodes.Node) -> frozenset[str]:
    """Return the names that are there when `test` does not hold."""
    if isinstance(test, nodes.Or):
        return _denied(test.left) | _denied(test.right)
    if isinstance(test, nodes.Not):
        return _assured(test.node)
    if isinstance(test, nodes.Test) and test.name == "undefined" and isinstance(test.node, nodes.Name):
        return frozenset({test.node.name})
    return frozenset()
