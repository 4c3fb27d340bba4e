"""Old names in strings: they are told, not changed, for only whoever reads the string knows what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libcst as cst

from ragtime.migration.codemod.findings import Finding, Target
from ragtime.migration.codemod.source import Source, name_of
from ragtime.migration.names import OLD_MODULES, find_old_name, wrapper_of

__all__ = ["find_strings"]

_DOTTED = re.compile(rf"({'|'.join(OLD_MODULES)})(_compat)?(?:[.:](\w+)(?:\.\w+)*)?")
_IMPORTERS = frozenset(
    """
    __import__ delattr dict find_spec import_module import_string importorskip patch reload resolve_name run_module
    setattr delitem setitem spec_from_file_location
    """.split()
)
"""Functions, by the last part of their names, whose first argument may name a module."""


def find_strings(source: Source, target: Target) -> Iterator[Finding]:
    """Find strings that name an old module, or something in one: those of ``mock.patch`` and ``importlib``, and paths.

    Args:
        source: The text.
        target: Where to; strings that name wrappers are told only on the way to the new names.

    Yields:
        The findings, in the order of the text.
    """
    for node in source.walk():
        if not isinstance(node, cst.SimpleString) or not isinstance(node.evaluated_value, str):
            continue
        match = _DOTTED.fullmatch(node.evaluated_value)
        if match is None or (match[2] and target == "compat"):
            continue
        module, name = match[1], match[3]
        entry = find_old_name(module, name) if name else None
        if entry is None and not _names_module(source, node):
            continue
        line, column = source.place(node)
        wrapper = f"{wrapper_of(module)}{node.evaluated_value[len(match[1]) + len(match[2] or '') :]}"
        place = wrapper if entry is None or target == "compat" else f"{entry.new}, or until then {wrapper}"
        yield Finding(line, column, "string", node.evaluated_value, f"A name in a string is not changed: {place}.")


def _names_module(source: Source, node: cst.SimpleString) -> bool:
    """Tell whether a string stands where a module is named: in a call that imports or patches, or in sys.modules."""
    around = source.parent(node)
    if isinstance(around, cst.Index):
        element = source.parent(around)
        table = source.parent(element) if element is not None else None
        return isinstance(table, cst.Subscript) and name_of(table.value) == "modules"
    call = source.parent(around) if isinstance(around, cst.Arg) else None
    if not isinstance(call, cst.Call) or (
        call.args[0] is not around and name_of(call.func) not in {"setitem", "delitem"}
    ):
        return False
    if isinstance(call.func, cst.Attribute) and name_of(call.func.value) == "modules":
        return True
    return name_of(call.func) in _IMPORTERS
