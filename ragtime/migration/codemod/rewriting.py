"""One text, rewritten: to the wrappers, or to the new names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import libcst as cst

from ragtime.migration.codemod.findings import Finding, SourceResult, Target
from ragtime.migration.codemod.import_edits import can_be_split, import_edits
from ragtime.migration.codemod.imports import FoundImports, OldImport, find_imports, look_up
from ragtime.migration.codemod.own_modules import Neighbours
from ragtime.migration.codemod.source import Edit, LineTable, Source, UnreadableSourceError, check_syntax, offset_after
from ragtime.migration.codemod.strings import find_strings
from ragtime.migration.codemod.uses import Uses, find_uses
from ragtime.migration.codemod.values import Hearsay
from ragtime.migration.members import MEMBERS
from ragtime.migration.names import OLD_MODULES

__all__ = ["may_concern", "rewrite_source"]

_MODULES = re.compile(rf"\b(?:{'|'.join(OLD_MODULES)})(?:_compat)?\b")
_MEMBERS = re.compile(rf"\.\s*(?:{'|'.join(sorted({one.name for all_ in MEMBERS.values() for one in all_}))})\b")


def may_concern(text: str, target: Target) -> bool:
    """Tell whether a text has to be looked at: another cannot hold anything that is told or changed.

    Args:
        text: The text.
        target: Where to.

    Returns:
        Whether it holds the name of an old module, or, on the way to the new names, of what an old class had.
    """
    return bool(_MODULES.search(text)) or (target == "ragtime" and bool(_MEMBERS.search(text)))


def rewrite_source(
    text: str,
    target: Target,
    *,
    file: Path | None = None,
    neighbours: Neighbours | None = None,
    hearsay: Hearsay | None = None,
) -> SourceResult:
    """Rewrite a text.

    Args:
        text: The text of a module, line breaks as they are.
        target: ``compat`` changes imports alone; ``ragtime`` changes what is proven, and leaves the rest with the
            wrappers, so that the program runs as before.
        file: The file it is of: modules beside it may be the user's own. ``None`` means that it lies nowhere.
        neighbours: Remembers what lies where; ``None`` means to look anew.
        hearsay: What other files tell; ``None`` means nothing.

    Returns:
        The new text, and what a person has to look at.

    Raises:
        UnreadableSourceError: The text cannot be parsed, or not be written again as it is.
    """
    source = Source.parse(text)
    found = find_imports(source, file, neighbours or Neighbours())
    uses = find_uses(source, found, hearsay or Hearsay()) if target == "ragtime" else Uses()
    edits, findings, targets = list(uses.edits), [*found.findings, *find_strings(source, target), *uses.findings], {}
    for one in found.imports:
        new = _new_place(source, found, uses, one) if target == "ragtime" else ""
        targets[one] = new or one.wrapper
    if target == "ragtime":
        _keep_whole_imports(targets)
        edits += _renames(source, found, targets)
        findings += [
            _stays(source, found, one, new=uses.is_settled(one, one.name))
            for one, place in targets.items()
            if _is_old(one) and place == one.wrapper
        ]
    edits += import_edits(source, targets)
    changed = source.edited(edits)
    if changed != text:
        _check_result(changed)
    moved = _moved(source, edits, changed, [*findings, *uses.possible]) if changed != text else {}
    modules = {one.module for one in found.imports}
    return SourceResult(
        changed,
        _ordered(findings),
        _ordered(uses.possible),
        frozenset(modules),
        uses.hearsay,
        moved,
    )


def _check_result(changed: str) -> None:
    try:
        check_syntax(changed)
    except UnreadableSourceError:
        raise UnreadableSourceError("would be no Python once rewritten; migrate it by hand") from None


def _moved(source: Source, edits: list[Edit], changed: str, findings: list[Finding]) -> dict[Finding, Finding]:
    """Return what was found with its places in the changed text."""
    edits = [edit for edit in edits if edit.start < edit.end or edit.text]
    lines = LineTable(changed)
    moved = {}
    for finding in findings:
        place = lines.place_of(offset_after(source.lines.offset(finding.line, finding.column), edits))
        moved[finding] = replace(finding, line=place[0], column=place[1])
    return moved


def _new_place(source: Source, found: FoundImports, uses: Uses, one: OldImport) -> str:
    """Return the module of ragtime that an import may come from; empty when it stays with the wrapper."""
    if one.name:
        dotted = one.entry.new if one.entry is not None else one.new
        return dotted.rpartition(".")[0] if dotted and uses.is_settled(one, one.name) else ""
    if one in uses.held or not found.references[one]:
        return ""
    places = set()
    for access in found.references[one]:
        around = source.parent(access.node)
        name = around.attr.value if isinstance(around, cst.Attribute) else ""
        entry, new = look_up(one.module, name, is_wrapper=one.is_wrapper)
        dotted = entry.new if entry is not None and uses.is_settled(one, name) else new
        places.add(dotted.rpartition(".")[0])
    place = places.pop() if len(places) == 1 else ""
    return place if not _loses_name(one) or not _is_bound(source, "ragtime") else ""


def _loses_name(one: OldImport) -> bool:
    return not one.name and one.is_wrapper and one.alias.asname is None


def _is_bound(source: Source, name: str) -> bool:
    """Tell whether a name means something else anywhere than a package of that name."""
    return any(
        assignment.name == name and not isinstance(assignment.node, cst.Import) for assignment in source.assignments()
    )


def _keep_whole_imports(targets: dict[OldImport, str]) -> None:
    """Leave names with the wrapper that cannot be taken out of an import without moving a comment."""
    for one in targets:
        whole = {targets[other] for other in targets if other.statement is one.statement}
        if len(whole) > 1 and not can_be_split(one.statement):
            targets[one] = one.wrapper


def _renames(source: Source, found: FoundImports, targets: dict[OldImport, str]) -> Iterable[Edit]:
    """Yield the edits of uses of a wrapper that was imported under its own name, which the new module has not."""
    for one, place in targets.items():
        if _loses_name(one) and place != one.wrapper:
            yield from (Edit(*source.span(access.node), place) for access in found.references[one])


def _is_old(one: OldImport) -> bool:
    return one.entry is not None or not one.name


def _stays(source: Source, found: FoundImports, one: OldImport, *, new: bool) -> Finding:
    """Tell of an import that stays with the wrapper, until what hinders it is done."""
    line, column = source.place(one.alias)
    if one.entry is None:
        message = f"It stays with {one.wrapper} until the places below are done; then leave it out."
    elif new:
        message = f"Take it out of this import by hand, with the comments that belong to it: {one.entry.new}."
    elif found.references[one]:
        message = f"It stays with {one.wrapper} until the places below are done; then take {one.entry.new}."
    else:
        message = f"It is not used here: take {one.entry.new}, or leave it out, as those need who import it from here."
    return Finding(line, column, "import", one.old, message)


def _ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(dict.fromkeys(findings)))
