"""Imports of the old modules and of their wrappers: which there are, and what each of them means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import libcst as cst

from ragtime.migration.codemod.findings import Finding, FindingKind
from ragtime.migration.codemod.own_modules import Neighbours
from ragtime.migration.codemod.source import Source, dotted_name
from ragtime.migration.names import EXPORTED_TOO, NAMES, OLD_MODULES, OldName, find_old_name, wrapper_of

if TYPE_CHECKING:
    from libcst.metadata import Access, Assignment

__all__ = ["FoundImports", "OldImport", "find_imports", "is_of_ragtime", "look_up"]

_WRAPPERS = {wrapper_of(module): module for module in OLD_MODULES}
_TABLE = {module: frozenset(entry.name for entry in NAMES if entry.module == module) for module in OLD_MODULES}


@dataclass(eq=False)
class OldImport:
    """One name that an import binds, of an old module or its wrapper.

    Attributes:
        statement: The import.
        alias: The part of it that binds the name.
        module: The old module.
        name: The name in it; empty when the module itself is bound.
        local: The name that is bound.
        is_wrapper: Whether it comes from the wrapper already.
        entry: What the table says of the name; ``None`` for a module, and for a name of ragtime.
        new: Where a name of ragtime comes from; empty for an old name.
    """

    statement: cst.Import | cst.ImportFrom
    alias: cst.ImportAlias
    module: str
    name: str
    local: str
    is_wrapper: bool
    entry: OldName | None = None
    new: str = ""

    @property
    def wrapper(self) -> str:
        """The wrapper of the module."""
        return wrapper_of(self.module)

    @property
    def old(self) -> str:
        """The old name, with its module."""
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass
class FoundImports:
    """All imports of old modules in a text.

    Attributes:
        imports: Those that are understood.
        findings: Those that are left alone, and why.
        references: Where each of the understood ones is used.
    """

    imports: list[OldImport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    references: dict[OldImport, list[Access]] = field(default_factory=dict)


def find_imports(source: Source, file: Path | None, neighbours: Neighbours) -> FoundImports:
    """Find the imports of the old modules and of their wrappers.

    Args:
        source: The text.
        file: The file it is of; ``None`` when it lies nowhere.
        neighbours: Tells the old modules from the user's own.

    Returns:
        The imports.
    """
    return _Finder(source, file, neighbours).find()


class _Finder:
    def __init__(self, source: Source, file: Path | None, neighbours: Neighbours) -> None:
        self._source = source
        self._file = file
        self._neighbours = neighbours
        self._found = FoundImports()
        self._bound: dict[cst.CSTNode, list[Assignment]] = {}

    def find(self) -> FoundImports:
        for assignment in self._source.assignments():
            if isinstance(assignment.node, cst.Import | cst.ImportFrom):
                self._bound.setdefault(assignment.node, []).append(assignment)
        for node in self._source.walk():
            if isinstance(node, cst.Import):
                for alias in node.names:
                    self._module_import(node, alias, dotted_name(alias.name))
            elif isinstance(node, cst.ImportFrom):
                self._from_import(node)
        return self._found

    # --- import conversation ------------------------------------------------------------------------------------

    def _module_import(self, statement: cst.Import, alias: cst.ImportAlias, name: str) -> None:
        module = name.rpartition(".")[2]
        if name in _WRAPPERS:
            self._add(statement, alias, _WRAPPERS[name], local=_local(alias, name), is_wrapper=True)
        elif name.partition(".")[0] in OLD_MODULES and "." in name:
            self._tell(alias, "note", name, f"left alone: the old {name.partition('.')[0]} was a single file")
        elif module in OLD_MODULES and self._means_old(alias, name, self._uses(statement, _local(alias, name))):
            if "." in name and alias.asname is None:
                self._tell(alias, "import", module, f"Import {wrapper_of(module)}, and use it below.")
            else:
                self._add(statement, alias, module, local=_local(alias, name))

    def _uses(self, statement: cst.CSTNode, local: str) -> set[str]:
        """Return the attributes of a module that are used; of one that is used in another way, nothing is known."""
        found = set()
        for access in self._accesses(statement, local):
            around = self._source.parent(access.node)
            if isinstance(around, cst.Attribute) and around.value is access.node:
                name = around.attr.value
                # Where the name has another meaning, too, an attribute that the module never had is of that.
                if len(access.referents) == 1 or any(name in names for names in _TABLE.values()):
                    found.add(name)
        return found

    def _means_old(self, node: cst.CSTNode, name: str, used: set[str], *, level: int = 0) -> bool:
        """Tell whether the old module is meant, going by where it lies, or else by what is used of it."""
        module = name.rpartition(".")[2]
        standing = self._neighbours.standing(self._file, name, level=level)
        unknown = sorted(used - _TABLE[module])
        dotted = bool(level) or "." in name
        if standing == "own":
            if level or not dotted:
                self._tell(node, "note", module, f"left alone: {module} beside this file is not the old module")
        elif standing == "absent" and (dotted or len(unknown) == len(used)):
            if level or not dotted:
                self._tell(node, "note", module, "left alone: nothing shows that the old module is meant")
        elif unknown:
            names = ", ".join(unknown)
            self._tell(node, "import", module, f"Left alone: {wrapper_of(module)} has no {names}; take it elsewhere.")
        else:
            return True
        return False

    # --- from conversation import … -----------------------------------------------------------------------------

    def _from_import(self, statement: cst.ImportFrom) -> None:
        name, level = dotted_name(statement.module), len(statement.relative)
        module = name.rpartition(".")[2]
        if isinstance(statement.names, cst.ImportStar):
            self._star(statement, name, level)
            return
        if not level and name in _WRAPPERS:
            for alias in statement.names:
                self._add(statement, alias, _WRAPPERS[name], dotted_name(alias.name), is_wrapper=True)
        elif module in OLD_MODULES:
            names = {dotted_name(alias.name) for alias in statement.names}
            if self._means_old(statement, name, names, level=level):
                for alias in statement.names:
                    self._add(statement, alias, module, dotted_name(alias.name))
        elif not level and name.partition(".")[0] in OLD_MODULES:
            self._tell(statement, "note", name, f"left alone: the old {name.partition('.')[0]} was a single file")
        else:
            for alias in statement.names:
                self._submodule(statement, alias, name, level)

    def _submodule(self, statement: cst.ImportFrom, alias: cst.ImportAlias, package: str, level: int) -> None:
        """Look at ``from . import conversation``, where a file of that name lies."""
        module = dotted_name(alias.name)
        if module not in OLD_MODULES:
            return
        name = f"{package}.{module}" if package else module
        standing = self._neighbours.standing(self._file, name, level=level)
        local = _local(alias, module)
        if standing == "old" and self._means_old(alias, name, self._uses(statement, local), level=level):
            self._add(statement, alias, module, local=local)

    def _star(self, statement: cst.ImportFrom, name: str, level: int) -> None:
        module = name.rpartition(".")[2].removesuffix("_compat")
        if module not in OLD_MODULES:
            return
        if name not in _WRAPPERS or level:
            standing = self._neighbours.standing(self._file, name, level=level)
            if standing == "own" or (standing == "absent" and (level or "." in name)):
                return
        self._tell(statement, "star", module, f"Name what is needed of {wrapper_of(module)}, and migrate again.")

    # --- inside -------------------------------------------------------------------------------------------------

    def _add(
        self,
        statement: cst.Import | cst.ImportFrom,
        alias: cst.ImportAlias,
        module: str,
        name: str = "",
        *,
        local: str = "",
        is_wrapper: bool = False,
    ) -> None:
        local = local or _local(alias, name)
        entry, new = look_up(module, name, is_wrapper=is_wrapper)
        made = OldImport(statement, alias, module, name, local, is_wrapper, entry, new)
        self._found.imports.append(made)
        self._found.references[made] = list(self._accesses(statement, local))

    def _accesses(self, statement: cst.CSTNode, local: str) -> Iterator[Access]:
        for assignment in self._bound.get(statement, ()):
            if assignment.name == local:
                yield from sorted(assignment.references, key=lambda access: self._source.span(access.node))

    def _tell(self, node: cst.CSTNode, kind: FindingKind, old: str, message: str) -> None:
        line, column = self._source.place(node)
        self._found.findings.append(Finding(line, column, kind, old, message))


def look_up(module: str, name: str, *, is_wrapper: bool) -> tuple[OldName | None, str]:
    """Return what a name of an old module or of its wrapper is.

    Args:
        module: The old module.
        name: The name in it.
        is_wrapper: Whether the wrapper is meant, which has further names.

    Returns:
        What the table says of it, ``None`` when it is no old name; and its place in ragtime, when it is a name of that.
    """
    entry = find_old_name(module, name)
    if entry is not None or not is_wrapper:
        return entry, ""
    dotted = next((one for one in EXPORTED_TOO.get(module, ()) if one.endswith(f".{name}")), "")
    entry = find_old_name(*dotted.rsplit(".", 1)) if dotted else None
    return entry, "" if entry is not None else dotted


def is_of_ragtime(node: cst.CSTNode, name: str) -> bool:
    """Tell whether an import binds a name to something of ragtime."""
    if isinstance(node, cst.ImportFrom):
        return not node.relative and dotted_name(node.module).partition(".")[0] == "ragtime"
    return isinstance(node, cst.Import) and any(
        dotted_name(alias.name).partition(".")[0] == "ragtime"
        and (alias.asname is None or dotted_name(alias.asname.name) == name)
        and (alias.asname is not None or name.partition(".")[0] == "ragtime")
        for alias in node.names
    )


def _local(alias: cst.ImportAlias, name: str) -> str:
    """Return the name that an import binds, as the scopes know it."""
    return dotted_name(alias.asname.name) if alias.asname else name
