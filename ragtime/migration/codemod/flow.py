"""Where an object goes: whether what gets it is in the same text, and known."""

from __future__ import annotations

from enum import Enum

import libcst as cst
from libcst.metadata import FunctionScope

from ragtime.migration.codemod.inference import Inference
from ragtime.migration.codemod.source import Source, dotted_name
from ragtime.migration.codemod.values import Hearsay, Imported, Instance, LocalClass, LocalFunction, LocalObject, New

__all__ = ["Flow", "Flows"]


class Flow(Enum):
    """Where an object goes; the value says what to look after when it leaves."""

    STAYS = "It stays where all its uses are known."
    ARGUMENT = "The object is handed to a call: what is called has to know the new class."
    RETURNED = "The object is returned: whoever calls this has to know the new class."
    KEPT = "The object is kept where its uses cannot be followed: they have to know the new class."


_HARMLESS = frozenset({"bool", "hasattr", "hash", "id", "isinstance", "len", "list", "print", "repr", "str", "type"})
_PASSING = (cst.IfExp, cst.BooleanOperation, cst.NamedExpr, cst.Await)
_ASKED = (
    cst.Attribute, cst.Subscript, cst.Expr, cst.Comparison, cst.ComparisonTarget, cst.FormattedStringExpression,
    cst.UnaryOperation, cst.If, cst.While, cst.Assert, cst.For, cst.CompFor, cst.CompIf, cst.Del,
)  # fmt: skip


class Flows:
    """Follows objects through a text.

    Attributes:
        holders: The names of what has been seen to hold objects, where others can get at them.
    """

    def __init__(self, source: Source, inference: Inference, hearsay: Hearsay) -> None:
        """Follow nothing yet.

        Args:
            source: The text.
            inference: Tells what is known of variables.
            hearsay: What is kept under a name that is used somewhere like an old object, may be meant there.
        """
        self._source = source
        self._inference = inference
        self._suspects = hearsay.suspects
        self.holders: set[str] = set()
        self._followed: set[cst.Param] = set()

    def of(self, node: cst.BaseExpression) -> Flow:
        """Tell where the value of an expression goes.

        Args:
            node: The expression, which is read.

        Returns:
            Where.
        """
        inner: cst.CSTNode = node
        around = self._source.parent(node)
        while isinstance(around, _PASSING):
            if isinstance(around, cst.IfExp) and around.test is inner:
                return Flow.STAYS
            if isinstance(around, cst.NamedExpr) and not self._is_known(around.target):
                return Flow.KEPT
            inner, around = around, self._source.parent(around)
        match around:
            case cst.Arg():
                return self._argument(around)
            case cst.Assign():
                return Flow.STAYS if all(self._is_known(one.target) for one in around.targets) else Flow.KEPT
            case cst.AnnAssign():
                return Flow.STAYS if self._is_known(around.target) else Flow.KEPT
            case cst.Return() | cst.Yield() | cst.From() | cst.Lambda():
                return Flow.RETURNED
        return Flow.STAYS if isinstance(around, _ASKED) else Flow.KEPT

    def _is_known(self, target: cst.BaseExpression) -> bool:
        """Tell whether the uses of what is assigned are known: of a variable, or of an object of the text."""
        if not isinstance(self._inference.value(target), Instance):
            return False
        if isinstance(target, cst.Attribute):
            owner = self._inference.value(target.value)
            return isinstance(owner, LocalObject | LocalClass) and self._is_held(target.attr.value)
        if not isinstance(target, cst.Name):
            return False
        return isinstance(self._source.scope(target), FunctionScope) or self._is_held(target.value)

    def _is_held(self, name: str) -> bool:
        """Note where others can get at an object; tells whether nobody seems to do so."""
        self.holders.add(name)
        return name not in self._suspects

    def _argument(self, arg: cst.Arg) -> Flow:
        call = self._source.parent(arg)
        if not isinstance(call, cst.Call) or arg.star:
            return Flow.ARGUMENT
        if dotted_name(call.func) in _HARMLESS:
            return Flow.STAYS
        if dotted_name(call.func) == "cast" and isinstance(self._inference.value(call), Instance):
            return self.of(call)
        function = self._inference.value(call.func)
        if isinstance(function, New) or (isinstance(function, Imported) and function.found.new):
            return Flow.STAYS
        if isinstance(function, LocalFunction):
            parameter = _parameter(function.node, call, arg, is_method=isinstance(call.func, cst.Attribute))
            if parameter is not None and self._stays_in(parameter):
                return Flow.STAYS
        return Flow.ARGUMENT

    def _stays_in(self, parameter: cst.Param) -> bool:
        """Tell whether what a parameter gets is known there by its annotation, and does not leave from there."""
        if parameter.annotation is None:
            return False
        scope = self._source.scope(parameter)
        if not isinstance(self._inference.annotations.value(parameter.annotation.annotation, scope), Instance):
            return False
        if parameter in self._followed:
            return True  # a function that calls itself
        self._followed.add(parameter)
        bindings = [one for one in self._source.assignments() if one.node is parameter]
        uses = [access.node for one in bindings for access in one.references]
        stays = all(isinstance(use, cst.Name) and self.of(use) is Flow.STAYS for use in uses)
        self._followed.discard(parameter)
        return stays


def _parameter(function: cst.FunctionDef, call: cst.Call, arg: cst.Arg, *, is_method: bool) -> cst.Param | None:
    """Return the parameter that an argument goes to; ``None`` when that is not clear."""
    parameters = function.params
    if arg.keyword is not None:
        named = [*parameters.params, *parameters.kwonly_params]
        return next((one for one in named if one.name.value == arg.keyword.value), None)
    before = call.args[: call.args.index(arg)]
    if any(one.star or one.keyword is not None for one in before):
        return None
    placed = [*parameters.posonly_params, *parameters.params]
    place = len(before) + is_method
    return placed[place] if place < len(placed) else None
