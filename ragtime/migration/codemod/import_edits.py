"""New text for imports: the same names under the same local names, from another module."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import libcst as cst

from ragtime.migration.codemod.imports import OldImport
from ragtime.migration.codemod.source import Edit, Source, dotted_name

__all__ = ["can_be_split", "import_edits"]

_DIRECTIVE = re.compile(r"#\s*(?:noqa|type:|mypy:|pyright:|pylint:|ruff:|isort:|pragma:|fmt:|nosec)", re.IGNORECASE)


def import_edits(source: Source, targets: Mapping[OldImport, str]) -> list[Edit]:
    """Return the edits that make imports come from other modules.

    Args:
        source: The text.
        targets: The module that each import shall come from; the local names stay. For ``import conversation`` it is
            what the name stands for.

    Returns:
        The edits; none for imports that stay as they are.
    """
    edits: list[Edit] = []
    statements: dict[cst.Import | cst.ImportFrom, dict[cst.ImportAlias, tuple[OldImport, str]]] = {}
    for found, target in targets.items():
        statements.setdefault(found.statement, {})[found.alias] = (found, target)
    for statement, aliases in statements.items():
        if isinstance(statement, cst.Import):
            edits += [_module_edit(source, found, target) for found, target in aliases.values()]
        else:
            edits += _from_edits(source, statement, aliases)
    return [edit for edit in edits if source.data[edit.start : edit.end] != edit.text.encode()]


def can_be_split(statement: cst.Import | cst.ImportFrom) -> bool:
    """Tell whether single names can be taken out of an import and all comments in it stay where they belong."""
    if isinstance(statement, cst.Import) or isinstance(statement.names, cst.ImportStar):
        return True
    inner = [*statement.names, *(one for one in (statement.lpar, statement.rpar) if one is not None)]
    return len(statement.names) == 1 or not any(_has_comment(node) for node in inner)


def _has_comment(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Comment) or any(_has_comment(child) for child in node.children)


def _module_edit(source: Source, found: OldImport, target: str) -> Edit:
    start, end = source.span(found.alias.name)
    renamed = found.alias.asname is None and not found.is_wrapper
    return Edit(start, end, f"{target} as {found.local}" if renamed else target)


def _from_edits(
    source: Source, statement: cst.ImportFrom, aliases: Mapping[cst.ImportAlias, tuple[OldImport, str]]
) -> list[Edit]:
    names = statement.names
    assert not isinstance(names, cst.ImportStar)  # noqa: S101 - a star import is never understood
    modules = [alias for alias in names if alias in aliases and not aliases[alias][0].name]
    groups: dict[str, list[cst.ImportAlias]] = {}
    for alias in names:
        if alias not in modules:
            groups.setdefault(aliases[alias][1] if alias in aliases else "", []).append(alias)
    lines = [f"import {aliases[alias][1]} as {aliases[alias][0].local}" for alias in modules]
    if not groups:
        return _replaced(source, statement, lines)
    # What stays in the statement is what the wrappers have, or what is no old name at all.
    first = min(groups, key=lambda module: (bool(module), module.startswith("ragtime."), list(groups).index(module)))
    lines += [
        f"from {module} import {', '.join(_alias_text(alias) for alias in group)}"
        for module, group in groups.items()
        if module != first
    ]
    edits = [] if first == "" else [_from_module_edit(source, statement, first)]
    if lines:
        kept = _with_names(statement, groups[first])
        if first:
            kept = kept.with_changes(module=cst.parse_expression(first), relative=())
        edits = _replaced(source, statement, [source.module.code_for_node(kept), *lines])
    return edits


def _from_module_edit(source: Source, statement: cst.ImportFrom, module: str) -> Edit:
    begin = source.span(statement)[0] + len(f"from{source.module.code_for_node(statement.whitespace_after_from)}")
    dots = "".join(source.module.code_for_node(dot) for dot in statement.relative)
    end = source.span(statement.module)[1] if statement.module is not None else begin + len(dots)
    return Edit(begin, end, module)


def _with_names(statement: cst.ImportFrom, names: Sequence[cst.ImportAlias]) -> cst.ImportFrom:
    assert not isinstance(statement.names, cst.ImportStar)  # noqa: S101 - as above
    last = statement.names[-1]
    return statement.with_changes(names=[*names[:-1], names[-1].with_changes(comma=last.comma)])


def _alias_text(alias: cst.ImportAlias) -> str:
    name = dotted_name(alias.name)
    return f"{name} as {dotted_name(alias.asname.name)}" if alias.asname else name


def _replaced(source: Source, statement: cst.ImportFrom, statements: Sequence[str]) -> list[Edit]:
    """Put several statements in the place of one: on lines of their own, where it has one."""
    start, end = source.span(statement)
    line_end = source.lines.end(end)
    rest = source.data[end:line_end].decode("utf-8").strip()
    before = source.data[source.lines.start(start) : start].decode("utf-8")
    if before.strip() or (rest and not rest.startswith("#")):
        return [Edit(start, end, "; ".join(statements))]
    comment = f"  {rest}" if _DIRECTIVE.match(rest) else ""
    line_break = source.lines.line_break(end) or source.module.default_newline
    lines = "".join(f"{line_break}{before}{line}{comment}" for line in statements[1:])
    edits = [Edit(start, end, statements[0])]
    return edits if not lines else [*edits, Edit(line_end, line_end, lines)]
