"""The uses of old names in a text: which can be rewritten, which cannot, and which imports may change with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from ragtime.migration.codemod.calls import (
    CONVERSATIONS,
    exchange_edits,
    has_role,
    is_bounded_summary,
    is_new_call,
    summary_edits,
)
from ragtime.migration.codemod.findings import Finding, FindingKind
from ragtime.migration.codemod.flow import Flow, Flows
from ragtime.migration.codemod.imports import FoundImports, OldImport, look_up
from ragtime.migration.codemod.inference import Inference
from ragtime.migration.codemod.source import Edit, Source, dotted_name, name_of
from ragtime.migration.codemod.values import Changed, Hearsay, Instance, LocalClass, LocalObject
from ragtime.migration.members import (
    FAMILIES,
    HINTS,
    MEMBERS,
    NEW_PARAMETERS,
    SUBCLASSES,
    ClassName,
    Member,
    find_member,
)
from ragtime.migration.names import OldName

if TYPE_CHECKING:
    from libcst.metadata import Access

__all__ = ["Uses", "find_uses"]

_PARTS_OF_TYPES = (
    cst.Tuple, cst.Element, cst.BinaryOperation, cst.Subscript, cst.SubscriptElement, cst.BaseSlice,
)  # fmt: skip
_READS = "It reads what that has returned."
_MOVES = (Flow.ARGUMENT, Flow.RETURNED)


@dataclass
class Uses:
    """What a text makes of old names.

    Attributes:
        edits: The calls that are rewritten.
        findings: What a person has to look at.
        possible: Uses of values of unknown type.
        unsettled: The classes of which it is not proven that all their uses mean the same with the new class.
        held: The imports that stay for another reason.
        hearsay: What this text tells others.
    """

    edits: list[Edit] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    possible: list[Finding] = field(default_factory=list)
    unsettled: set[ClassName] = field(default_factory=set)
    held: set[OldImport] = field(default_factory=set)
    hearsay: Hearsay = field(default_factory=Hearsay)

    def is_settled(self, found: OldImport, name: str) -> bool:
        """Tell whether a class that an import binds may come from its new place."""
        entry, _ = look_up(found.module, name, is_wrapper=found.is_wrapper)
        if entry is None:
            return bool(found.new)
        cls = ClassName(entry.module, entry.name)
        return cls in SUBCLASSES and cls not in self.unsettled and found not in self.held


def find_uses(source: Source, found: FoundImports, hearsay: Hearsay) -> Uses:
    """Find the uses of old names.

    Args:
        source: The text.
        found: Its imports of old modules.
        hearsay: What other texts tell.

    Returns:
        What it makes of them.
    """
    uses = _Finder(source, found, hearsay).find()
    own = Hearsay(suspects=uses.hearsay.suspects, holders=uses.hearsay.holders)
    return uses if not found.imports or hearsay.covers(own) else _Finder(source, found, hearsay | own).find()


class _Finder:
    def __init__(self, source: Source, found: FoundImports, hearsay: Hearsay) -> None:
        self._source = source
        self._found = found
        self._inference = Inference(source, found, hearsay)
        self._flows = Flows(source, self._inference, hearsay)
        self._holders = hearsay.holders
        self._suspects: set[str] = set()
        self._exported = frozenset(self._exports())
        self._uses = Uses()
        modules = {one.module for one in found.imports}
        self._families = [family for family in FAMILIES if family & modules]
        self._roles_possible = any(one.is_wrapper for one in found.imports)

    def find(self) -> Uses:
        for found in self._found.imports:
            self._import_uses(found)
        for node in self._source.walk():
            if isinstance(node, cst.Attribute) and not self._source.is_imported(node):
                self._attribute(node)
            elif isinstance(node, cst.ClassDef):
                self._derived(node)
            elif isinstance(node, cst.Call):
                self._by_name(node)
            if isinstance(node, cst.Name | cst.Attribute | cst.Call):
                self._flow(node)
        told = {finding.line for finding in self._uses.findings}
        self._uses.findings += self._results(told)
        self._uses.hearsay = Hearsay(
            self._inference.handed_on(), frozenset(self._suspects), frozenset(self._flows.holders)
        )
        return self._uses

    # --- names --------------------------------------------------------------------------------------------------

    def _import_uses(self, found: OldImport) -> None:
        references = self._found.references[found]
        if not references and found.name and not found.new:
            self._uses.held.add(found)
        if found.local in self._exported and not found.new:
            self._uses.held.add(found)
        for access in references:
            node = access.node
            if found.name:
                if found.entry is not None:
                    self._name_use(found.entry, node, access)
                continue
            around = self._source.parent(node)
            if len(access.referents) > 1:
                self._uses.held.add(found)
                self._tell(
                    node, "use", found.old, "The name means something else, too: give one of the two another name."
                )
            if not isinstance(around, cst.Attribute) or around.value is not node:
                self._uses.held.add(found)
                self._tell(node, "use", found.old, "The module itself is handed on: name what is needed of it.")
                continue
            entry, _ = look_up(found.module, around.attr.value, is_wrapper=found.is_wrapper)
            if entry is not None:
                self._name_use(entry, around, access)

    def _exports(self) -> Iterator[str]:
        """Yield the names in ``__all__``."""
        for node in self._source.walk():
            if isinstance(node, cst.Assign | cst.AnnAssign | cst.AugAssign) and node.value is not None:
                targets = [one.target for one in node.targets] if isinstance(node, cst.Assign) else [node.target]
                if any(dotted_name(target) == "__all__" for target in targets):
                    for one in self._source.walk(node.value):
                        if isinstance(one, cst.SimpleString):
                            yield str(one.evaluated_value)

    def _name_use(self, entry: OldName, node: cst.CSTNode, access: Access) -> None:
        """Look at the use of an old name: what stands around it tells whether the new one can take its place."""
        cls = ClassName(entry.module, entry.name)
        if cls not in SUBCLASSES:
            self._tell(node, "use", f"{cls}", f"{entry.new} stands for it. {entry.change}")
            return
        around = self._source.parent(node)
        if access.is_annotation or access.is_type_hint or isinstance(node, cst.SimpleString) or self._is_check(node):
            return
        if isinstance(around, cst.Call) and around.func is node:
            self._constructor(cls, entry, around)
        elif isinstance(around, cst.Attribute) and around.value is node:
            self._class_attribute(cls, around)
        elif isinstance(around, cst.Arg) and isinstance(self._source.parent(around), cst.ClassDef):
            self._unsettled(cls, node, f"A class derives from it, and gets what the new class has. {entry.change}")
        else:
            self._unsettled(cls, node, f"The class is handed on: what gets it has to know the new one. {entry.change}")

    def _is_check(self, node: cst.CSTNode) -> bool:
        """Tell whether a class is only compared with, as by ``isinstance``, or named as a type."""
        for outer in self._source.parents(node):
            if isinstance(outer, cst.Annotation | cst.Comparison | cst.ComparisonTarget | cst.Del):
                return True
            if isinstance(outer, cst.Arg):
                call = self._source.parent(outer)
                if not isinstance(call, cst.Call):
                    return False
                place = {"cast": 0, "isinstance": 1, "issubclass": 1}.get(name_of(call.func))
                return place is not None and place < len(call.args) and call.args[place] is outer
            if not isinstance(outer, _PARTS_OF_TYPES):
                return False
        return False

    def _constructor(self, cls: ClassName, entry: OldName, call: cst.Call) -> None:
        new = NEW_PARAMETERS[cls]
        keywords = [arg.keyword.value if arg.keyword is not None else "" for arg in call.args]
        if not isinstance(self._inference.value(call), Instance):
            self._unsettled(cls, call, f"The name means something else, too. {entry.change}")
            return
        if new is None or (keywords and new.issuperset(keywords)):
            return
        self._unsettled(cls, call, f"The new one takes other arguments, or settings in their place. {entry.change}")

    def _class_attribute(self, cls: ClassName, node: cst.Attribute) -> None:
        name = node.attr.value
        member = find_member(cls, name)
        call = self._source.parent(node)
        if member is not None:
            self._unsettled(cls, node.attr, member.change, name)
        elif name == "from_dict" and not (
            isinstance(call, cst.Call) and isinstance(self._inference.value(call), Instance)
        ):
            self._unsettled(cls, node.attr, "The method is handed on: what gets it has to know the new class.", name)

    # --- members ------------------------------------------------------------------------------------------------

    def _attribute(self, node: cst.Attribute) -> None:
        owner = self._inference.value(node.value)
        name = node.attr.value
        if isinstance(owner, Instance):
            member = find_member(owner.cls, name)
            if member is not None:
                self._member_use(owner.cls, member, node)
        elif isinstance(owner, LocalObject | LocalClass) or _is_super(node.value):
            cls = self._derived_from(node, owner)
            member = find_member(cls, name) if cls is not None else None
            if cls is not None and member is not None:
                self._unsettled(cls, node.attr, member.change, name)
        elif owner is None:
            self._possible(node)

    def _by_name(self, call: cst.Call) -> None:
        """Look at an attribute that is named by a string, as in ``getattr(tuner, "training_history", [])``."""
        if dotted_name(call.func) not in {"delattr", "getattr", "hasattr", "setattr"} or len(call.args) < 2:  # noqa: PLR2004
            return
        text = call.args[1].value
        name = str(text.evaluated_value) if isinstance(text, cst.SimpleString) else ""
        owner = self._inference.value(call.args[0].value)
        if isinstance(owner, Instance):
            member = find_member(owner.cls, name)
            if member is not None:
                self._unsettled(owner.cls, text, member.change, name)
        elif owner is None:
            self._guess(call.args[0].value, name, text)

    def _derived_from(self, node: cst.Attribute, owner: object) -> ClassName | None:
        """Return the old class that an attribute is of, of an object of a class of the text."""
        if isinstance(owner, LocalObject | LocalClass):
            defined = self._inference.classes.defines(owner.node, node.attr.value)
            return None if defined else self._inference.classes.old_base(owner.node)
        around = next((one for one in self._source.parents(node) if isinstance(one, cst.ClassDef)), None)
        return self._inference.classes.old_base(around) if around is not None else None

    def _member_use(self, cls: ClassName, member: Member, node: cst.Attribute) -> None:
        call = self._source.parent(node)
        whole: cst.BaseExpression = node
        if isinstance(call, cst.Call) and call.func is node:
            whole = call
            if is_new_call(member, call) or self._rewritten(cls, member, call):
                return
            if member.name == "add_interaction" and self._roles_possible and has_role(call):
                return  # a new call already
        moves = member.returns and self._flows.of(whole) in _MOVES
        handed = " What gets it from here has to change, too." if moves else ""
        self._unsettled(cls, node.attr, f"{member.change}{handed}", member.name)

    def _rewritten(self, cls: ClassName, member: Member, call: cst.Call) -> bool:
        edits: list[Edit] | None = None
        if cls in CONVERSATIONS and member.name == "add_interaction":
            edits = exchange_edits(self._source, call, roles_possible=self._roles_possible)
        elif member.name == "summarize":
            if is_bounded_summary(self._source, call, self._inference):
                return True
            edits = summary_edits(self._source, call, self._inference)
        self._uses.edits += edits or []
        return edits is not None

    def _derived(self, node: cst.ClassDef) -> None:
        """Tell of methods of a derived class that take the place of old ones."""
        old = self._inference.classes.old_base(node)
        if old is None:
            return
        for statement in node.body.body:
            name = statement.name.value if isinstance(statement, cst.FunctionDef) else ""
            member = find_member(old, name)
            if isinstance(statement, cst.FunctionDef) and member is not None:
                change = f"The new class does not call it under this name. {member.change}"
                self._unsettled(old, statement.name, change, name)

    def _possible(self, node: cst.Attribute) -> None:
        """Note the use of a value of unknown type, when its name or that of the member tells what it may be."""
        name, call = node.attr.value, self._source.parent(node)
        if isinstance(call, cst.Call) and name == "add_interaction" and has_role(call):
            return
        self._guess(node.value, name, node.attr, call if isinstance(call, cst.Call) else None)

    def _guess(self, owner: cst.BaseExpression, name: str, node: cst.CSTNode, call: cst.Call | None = None) -> None:
        if any(find_member(cls, name) for cls in SUBCLASSES):
            self._suspects.add(name_of(owner))
        named = name_of(owner.func if isinstance(owner, cst.Call) else owner).lower()
        for cls in MEMBERS:
            member = find_member(cls, name)
            if member is None or (call is not None and is_new_call(member, call)):
                continue
            near = member.is_familiar and any(cls.module in family for family in self._families)
            held = name_of(owner) in self._holders
            if member.is_distinctive or near or held or any(hint in named for hint in HINTS[cls]):
                line, column = self._source.place(node)
                message = f"If this is of an old {cls.name}: {member.change}"
                self._uses.possible.append(Finding(line, column, "possible", f"{cls}.{name}", message))
                return

    # --- objects and results ------------------------------------------------------------------------------------

    def _flow(self, node: cst.BaseExpression) -> None:
        """Look at where an object goes that a constructor here has made: whoever gets it has to know the new class."""
        value = self._inference.value(node) if self._source.is_read(node) else None
        if not isinstance(value, Instance) or not value.is_made_here or value.cls not in SUBCLASSES:
            return
        flow = self._flows.of(node)
        if flow is not Flow.STAYS:
            self._tell(node, "leaves", f"{value.cls}", flow.value)
            self._uses.unsettled.add(value.cls)

    def _results(self, told: set[int]) -> Iterator[Finding]:
        """Yield where values are used that old calls have returned, one place a line."""
        for node in self._source.walk():
            if not isinstance(node, cst.Name | cst.Attribute | cst.Call) or not self._source.is_read(node):
                continue
            value = self._inference.value(node)
            line, column = self._source.place(node)
            if isinstance(value, Changed) and line not in told:
                told.add(line)
                moves = self._flows.of(node) in _MOVES
                more = " What gets it from here has to change, too." if moves else ""
                what = f"If `{value.via}` hands on what that has returned, it reads it." if value.via else _READS
                yield Finding(line, column, "possible" if value.via else "result", value.origin, f"{what}{more}")

    # --- inside -------------------------------------------------------------------------------------------------

    def _unsettled(self, cls: ClassName, node: cst.CSTNode, message: str, member: str = "") -> None:
        self._uses.unsettled.add(cls)
        self._tell(node, "use", f"{cls}.{member}" if member else f"{cls}", message)

    def _tell(self, node: cst.CSTNode, kind: FindingKind, old: str, message: str) -> None:
        line, column = self._source.place(node)
        self._uses.findings.append(Finding(line, column, kind, old, message))


def _is_super(node: cst.BaseExpression) -> bool:
    return isinstance(node, cst.Call) and dotted_name(node.func) == "super"
