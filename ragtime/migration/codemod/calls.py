"""The calls that are rewritten: those whose meaning the text itself proves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from ragtime.migration.codemod.source import Edit, Source, dotted_name
from ragtime.migration.codemod.values import Instance
from ragtime.migration.members import ClassName, Member, find_member

if TYPE_CHECKING:
    from ragtime.migration.codemod.inference import Inference

__all__ = ["CONVERSATIONS", "exchange_edits", "has_role", "is_bounded_summary", "is_new_call", "summary_edits"]

CONVERSATIONS = frozenset(
    {ClassName("conversation", "Conversation"), ClassName("enhanced_conversation", "EnhancedConversation")}
)
_OLD_GET_PROMPT = find_member(ClassName("template_manager", "TemplateManager"), "get_prompt")
_ROLES = frozenset({"system", "user", "assistant", "tool"})
_ROLE_WORDS = ("author", "role", "sender", "speaker", "who")
_PARAMETERS = ("query", "response", "document_ids", "metadata")
_FIRST_TWO = 2
_LOOSE = (cst.IfExp, cst.Lambda, cst.NamedExpr, cst.GeneratorExp, cst.Yield)  # bind less than `or`


def exchange_edits(source: Source, call: cst.Call, *, roles_possible: bool) -> list[Edit] | None:
    """Make ``add_exchange`` of a call of the old ``add_interaction``.

    Both are there in the wrapper and in the new class, so it does not matter which of them the object is of.

    Args:
        source: The text.
        call: The call, of an object that is proven to be a conversation.
        roles_possible: Whether the class comes from the wrapper, where a first argument that is a role makes the call
            a new one.

    Returns:
        The edits; ``None`` when it is not proven that a question and its answer are meant, or what is returned is used.
    """
    function = call.func
    given = _arguments(call)
    if not isinstance(function, cst.Attribute) or given is None or not isinstance(source.parent(call), cst.Expr):
        return None
    if any(_is_blank(given[name].value) for name in _PARAMETERS[:_FIRST_TWO]):
        return None
    named = any(given[name].keyword is not None for name in _PARAMETERS[:_FIRST_TWO])
    plain = len([arg for arg in call.args if arg.keyword is None]) <= _FIRST_TWO
    if roles_possible and plain and not named and _may_be_role(source, given["query"].value):
        return None
    edits = [Edit(*source.span(function.attr), "add_exchange")]
    for name in _PARAMETERS[_FIRST_TWO:]:
        if name in given:
            edits += _option_edits(source, given[name], name)
    return edits


def _arguments(call: cst.Call) -> dict[str, cst.Arg] | None:
    """Return the arguments by the names of the old parameters; ``None`` when they do not fit."""
    found: dict[str, cst.Arg] = {}
    for place, arg in enumerate(call.args):
        name = arg.keyword.value if arg.keyword is not None else (*_PARAMETERS, "")[min(place, len(_PARAMETERS))]
        if arg.star or name not in _PARAMETERS or name in found:
            return None
        found[name] = arg
    return found if set(_PARAMETERS[:_FIRST_TWO]) <= set(found) else None


def _is_blank(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.SimpleString) and not str(value.evaluated_value).strip()


def _may_be_role(source: Source, value: cst.BaseExpression) -> bool:
    """Tell whether a first argument may be a role: it is one, is named so, or the text has a role as a value."""
    if isinstance(value, cst.SimpleString):
        return value.evaluated_value in _ROLES
    if isinstance(value, cst.FormattedString | cst.ConcatenatedString):
        return False
    words = source.code(value).lower()
    if any(word in words for word in _ROLE_WORDS):
        return True
    strings = (node for node in source.walk() if isinstance(node, cst.SimpleString))
    return any(one.evaluated_value in _ROLES for one in strings)


def _option_edits(source: Source, arg: cst.Arg, name: str) -> list[Edit]:
    """Give an optional argument its name; document ids that may be ``None`` become no ids."""
    start, end = source.span(arg)
    begin = source.span(arg.value)[0] if arg.keyword is not None and not arg.value.lpar else start
    prefix = f"{name}=" if arg.keyword is None else ""
    if name == "document_ids" and isinstance(arg.value, cst.Name) and arg.value.value == "None":
        return [Edit(begin, end, f"{prefix}()")]
    suffix = ""
    if name == "document_ids" and not isinstance(arg.value, cst.List | cst.Tuple | cst.ListComp):
        loose = isinstance(arg.value, _LOOSE) and not arg.value.lpar
        prefix, suffix = (f"{prefix}(", ") or ()") if loose else (prefix, " or ()")
    return [Edit(begin, begin, prefix), Edit(end, end, suffix)]


def summary_edits(source: Source, call: cst.Call, inference: Inference) -> list[Edit] | None:
    """Make a text of what ``summarize`` returns, and name its limit; with the wrapper nothing changes by it.

    Args:
        source: The text.
        call: The call, of an object that is proven to be a summarizer.
        inference: Tells what the argument is.

    Returns:
        The edits; ``None`` when the argument is not proven to be a conversation, or the call has other arguments.
    """
    names = ["conversation", "max_tokens"]
    given: dict[str, cst.Arg] = {}
    for place, arg in enumerate(call.args):
        name = arg.keyword.value if arg.keyword is not None else (*names, "")[min(place, len(names))]
        if arg.star or name not in names or name in given:
            return None
        given[name] = arg
    if "conversation" not in given or not _is_conversation(inference, given["conversation"]):
        return None
    if any(assignment.name == "str" for assignment in source.assignments()):
        return None
    start, end = source.span(call)
    edits = [Edit(start, start, "str("), Edit(end, end, ")")]
    if "max_tokens" not in given:
        last = source.span(call.args[-1])[1]
        return [*edits, Edit(last, last, ", max_tokens=500")]  # what the old one took by itself
    if given["max_tokens"].keyword is None:
        begin = source.span(given["max_tokens"])[0]
        edits.append(Edit(begin, begin, "max_tokens="))
    return edits


def is_bounded_summary(source: Source, call: cst.Call, inference: Inference) -> bool:
    """Tell whether a call of ``summarize`` means the same in the wrapper and in the new class."""
    around = source.parent(call)
    text = source.parent(around) if isinstance(around, cst.Arg) else None
    keywords = {arg.keyword.value for arg in call.args if arg.keyword is not None}
    return (
        isinstance(text, cst.Call)
        and dotted_name(text.func) == "str"
        and len(text.args) == 1
        and "max_tokens" in keywords
        and bool(call.args)
        and _is_conversation(inference, call.args[0])
    )


def _is_conversation(inference: Inference, arg: cst.Arg) -> bool:
    value = inference.value(arg.value)
    return isinstance(value, Instance) and value.cls in CONVERSATIONS


def has_role(call: cst.Call) -> bool:
    """Tell whether a call of ``add_interaction`` is a new one: its first argument is the name of a role."""
    first = call.args[0].value if call.args and call.args[0].keyword is None else None
    return isinstance(first, cst.SimpleString) and first.evaluated_value in _ROLES


def is_new_call(member: Member, call: cst.Call) -> bool:
    """Tell whether a call of a method that has the same name in both classes is a new one, by its keywords."""
    keywords = {arg.keyword.value for arg in call.args if arg.keyword is not None}
    if member is _OLD_GET_PROMPT:  # its new form takes the variables of the prompt as keywords
        return bool(keywords - {"style", "query_type", "context_params"})
    return bool(keywords & member.new_keywords)
