"""Values in places where escaping is not enough: found by following a page's HTML along its syntax tree."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from ragtime.utils.templates.pages.html_context import HTMLContext, Place

__all__ = ["Problem", "lint_places"]

Problem = tuple[str, str, int]
"""Rule, message and line."""

_ADDRESSES = set("action background cite data formaction href poster src srcset xlink:href".split())
_CODE_SCHEMES = ("javascript:", "data:", "vbscript:")
_MAKE_HTML = {"highlight", "markdown", "paragraphs", "safe", "urlize", "xmlattr"}


def lint_places(tree: nodes.Template, blocks: dict[str, HTMLContext]) -> list[Problem]:
    """Look at where each value of a page stands.

    Args:
        tree: The page.
        blocks: Where the blocks of its parents stand, by name; those of this page are added.

    Returns:
        The problems, in the order of the page.
    """
    walk = _Walk(blocks)
    extends = next(tree.find_all(nodes.Extends), None) is not None
    for node in tree.body:
        if not extends or isinstance(node, nodes.Block):  # of a child nothing else is written
            walk.visit(node)
    return walk.found


class _Walk:
    def __init__(self, blocks: dict[str, HTMLContext]) -> None:
        self.found: list[Problem] = []
        self._context = HTMLContext()
        self._blocks = blocks

    def visit(self, node: nodes.Node) -> None:
        """Follow a statement."""
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                self._write(part)
        elif isinstance(node, nodes.If):
            self._visit_branches([node.body, *(branch.body for branch in node.elif_), node.else_])
        elif isinstance(node, nodes.For):
            self._visit_branches([node.body, node.else_])
        elif isinstance(node, nodes.Block):
            outside = self._context
            self._context = self._blocks.setdefault(node.name, outside.copy()).copy()
            self._visit_all(node.body)
            self._context = self._context if self._context.place is outside.place else outside
        elif isinstance(node, nodes.Macro | nodes.CallBlock | nodes.AssignBlock | nodes.FilterBlock):
            outside, self._context = self._context, HTMLContext()
            self._visit_all(node.body)
            self._context = outside
        else:
            self._visit_all([child for child in node.iter_child_nodes() if isinstance(child, nodes.Stmt)])

    def _visit_all(self, body: list[nodes.Node]) -> None:
        for node in body:
            self.visit(node)

    def _visit_branches(self, bodies: list[list[nodes.Node]]) -> None:
        """Follow each branch from the same place, and go on where the first of them ends."""
        start, end = self._context, None
        for body in bodies:
            self._context = start.copy()
            self._visit_all(body)
            end = end or self._context
        self._context = end or start

    def _write(self, part: nodes.Node) -> None:
        if isinstance(part, nodes.TemplateData):
            self._context.feed(part.data)
            return
        self.found.extend(_problems(self._context, part))
        self._context.skip_value()


def _problems(context: HTMLContext, value: nodes.Node) -> Iterator[Problem]:
    line, attribute = value.lineno, context.attribute
    if context.place in {Place.TAG, Place.UNQUOTED} and not _is_constant(value):
        yield "H005", "a value stands in a tag without quotes round it", line
    if context.place is Place.RAW and (context.tag == "style" or not _is_filtered(value, {"tojson"})):
        yield "H007", f"a value stands in <{context.tag}>; only tojson makes one safe in a script", line
    if context.place not in {Place.QUOTED, Place.UNQUOTED} or _is_constant(value):
        return
    if attribute in _ADDRESSES:
        if context.value.lower().startswith(_CODE_SCHEMES):
            yield "H007", f"a value stands in code that {attribute} runs", line
        elif not context.value and not _is_safe_address(value):
            yield "H006", f"the address in {attribute} may be javascript:; put it through safe_url", line
    if attribute in {"style", "srcdoc"} or attribute.startswith("on"):
        yield "H007", f"a value stands in {attribute}, which is code", line
    elif any(_ends_with(value, name) for name in _MAKE_HTML) or (context.quote == '"' and _ends_with(value, "tojson")):
        yield "H007", f"markup stands in {attribute or 'an attribute'}, and may end it", line


def _is_constant(value: nodes.Node) -> bool:
    if isinstance(value, nodes.CondExpr):
        return _is_constant(value.expr1) and (value.expr2 is None or _is_constant(value.expr2))
    return isinstance(value, nodes.Const)


def _is_filtered(value: nodes.Node, names: set[str]) -> bool:
    """Whether whatever is written has gone through one of some filters as the last."""
    if isinstance(value, nodes.CondExpr):
        return _is_filtered(value.expr1, names) and (value.expr2 is None or _is_filtered(value.expr2, names))
    if isinstance(value, nodes.Or | nodes.And):
        return _is_filtered(value.left, names) and _is_filtered(value.right, names)
    return isinstance(value, nodes.Const) or (isinstance(value, nodes.Filter) and value.name in names)


def _is_safe_address(value: nodes.Node) -> bool:
    if isinstance(value, nodes.Concat):
        first = value.nodes[0]
        return (isinstance(first, nodes.Const) and bool(str(first.value).strip())) or _is_safe_address(first)
    return _is_filtered(value, {"safe_url", "urlencode"})


def _ends_with(value: nodes.Node, name: str) -> bool:
    """Whether one of the things that may be written has gone through a filter as the last."""
    if isinstance(value, nodes.CondExpr):
        return _ends_with(value.expr1, name) or (value.expr2 is not None and _ends_with(value.expr2, name))
    if isinstance(value, nodes.Or | nodes.And):
        return _ends_with(value.left, name) or _ends_with(value.right, name)
    if isinstance(value, nodes.Concat):
        return any(_ends_with(part, name) for part in value.nodes)
    return isinstance(value, nodes.Filter) and value.name == name
