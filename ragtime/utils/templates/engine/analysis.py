"""What a template needs and what it refers to, read from its syntax tree without rendering it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jinja2 import meta, nodes

if TYPE_CHECKING:
    from ragtime.utils.templates.engine.engine import Source, TemplateEngine

__all__ = ["TemplateFacts", "analyse", "constant_text"]

_REFERRING = (nodes.Extends, nodes.FromImport, nodes.Import, nodes.Include)
_GLOBALS = frozenset({"dict", "namespace", "range"})
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
        references: Names of the templates that it includes, extends or imports, each with its line.
        dynamic: Lines on which such a name is computed, and so cannot be known.
        unescaped: Lines on which a value is marked as safe HTML.
    """

    required: Mapping[str, int] = field(default_factory=dict)
    optional: Mapping[str, int] = field(default_factory=dict)
    perhaps: Mapping[str, int] = field(default_factory=dict)
    references: Mapping[str, int] = field(default_factory=dict)
    dynamic: tuple[int, ...] = ()
    unescaped: tuple[int, ...] = ()

    @property
    def used(self) -> dict[str, int]:
        """The required and the optional variables, each with the line of its first use."""
        return {**self.optional, **self.required}


def analyse(engine: TemplateEngine, source: Source) -> TemplateFacts:
    """Read what a template needs.

    A name that the template itself sets, as a loop, ``set``, ``import``, or parameter of a macro does, is no variable.

    Args:
        engine: Parses the template.
        source: The template.

    Returns:
        The facts of this template alone, without those that it refers to.

    Raises:
        TemplateSyntaxError: It cannot be parsed.
    """
    tree = engine.parse(source)
    undeclared = meta.find_undeclared_variables(tree) - _GLOBALS
    stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx in {"store", "param"}}
    lines: dict[str, int] = {}
    needed: set[str] = set()
    for name, line, guarded in _uses(tree, frozenset()):
        if name in undeclared:
            lines[name] = min(line, lines.get(name, line))
            if not guarded:
                needed.add(name)
    references: dict[str, int] = {}
    dynamic: list[int] = []
    for node in tree.find_all(_REFERRING):
        names = _constant_names(node.template)  # type: ignore[attr-defined]
        if names is None:
            dynamic.append(node.lineno)
        for name in names or ():
            references.setdefault(name, node.lineno)
    return TemplateFacts(
        required={name: lines[name] for name in sorted(needed - stored)},
        optional={name: lines[name] for name in sorted(set(lines) - needed - stored)},
        perhaps={name: lines[name] for name in sorted(set(lines) & stored)},
        references=references,
        dynamic=tuple(dynamic),
        unescaped=tuple(node.lineno for node in tree.find_all(nodes.Filter) if node.name == "safe"),
    )


def _constant_names(node: nodes.Node) -> list[str] | None:
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, nodes.List | nodes.Tuple):
        found = [_constant_names(item) for item in node.items]
        return None if None in found else [name for names in found for name in names or ()]
    return None


def _uses(node: nodes.Node, guarded: frozenset[str]) -> Iterator[tuple[str, int, bool]]:
    """Yield every reading of a name, with its line and whether the template has made sure that it is there."""
    if isinstance(node, nodes.Name):
        if node.ctx == "load":
            yield node.name, node.lineno, node.name in guarded
        return
    if isinstance(node, nodes.Filter) and node.name in _DEFAULTING and isinstance(node.node, nodes.Name):
        yield from _uses(node.node, guarded | {node.node.name})
        yield from _uses_of((*node.args, *(option.value for option in node.kwargs)), guarded)
        return
    if isinstance(node, nodes.Test) and node.name in _ASKING and isinstance(node.node, nodes.Name):
        yield from _uses(node.node, guarded | {node.node.name})
        return
    if isinstance(node, nodes.If):
        yield from _uses_of_branches(node, guarded)
        return
    if isinstance(node, nodes.CondExpr):
        yield from _uses(node.test, guarded)
        yield from _uses(node.expr1, guarded | _assured(node.test))
        if node.expr2 is not None:
            yield from _uses(node.expr2, guarded | _denied(node.test))
        return
    if isinstance(node, nodes.And):
        yield from _uses(node.left, guarded)
        yield from _uses(node.right, guarded | _assured(node.left))
        return
    if isinstance(node, nodes.Or):
        yield from _uses(node.left, guarded)
        yield from _uses(node.right, guarded | _denied(node.left))
        return
    yield from _uses_of(node.iter_child_nodes(), guarded)


def _uses_of(children: Iterable[nodes.Node], guarded: frozenset[str]) -> Iterator[tuple[str, int, bool]]:
    for child in children:
        yield from _uses(child, guarded)


def _uses_of_branches(node: nodes.If, guarded: frozenset[str]) -> Iterator[tuple[str, int, bool]]:
    for branch in (node, *node.elif_):
        yield from _uses(branch.test, guarded)
        yield from _uses_of(branch.body, guarded | _assured(branch.test))
        guarded |= _denied(branch.test)
    yield from _uses_of(node.else_, guarded)


def _assured(test: nodes.Node) -> frozenset[str]:
    """Return the names that are there when `test` holds."""
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


def constant_text(tree: nodes.Template) -> Iterator[tuple[str, int]]:
    """Yield the text between the marks of a template, each piece with the line on which it begins."""
    for node in tree.find_all(nodes.TemplateData):
        yield node.data, node.lineno
