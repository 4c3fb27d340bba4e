"""The variables of a prompt: what is given is checked against what is declared, all problems at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from ragtime.errors import TemplateVariableError, VariableProblem, did_you_mean
from ragtime.protocols import Message
from ragtime.utils.templates.engine.plain import TrustedHTML, UnsupportedValueError, kind_of, plain
from ragtime.utils.templates.prompts.definitions import PromptVariable

__all__ = ["VariableTable"]

_ROLES = frozenset({"system", "user", "assistant", "tool"})
_MOST_BITS = 10_000  # of a number that is written; Python refuses more than 4,300 digits
_WRITABLE = frozenset({str, int, float, bool, type(None)})  # in the simple syntax


class _MistypedError(Exception):
    """A value is not what its variable declares."""


def _of(*kinds: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        found = plain(value)
        if type(found) is TrustedHTML:  # which is a text to a prompt
            found = str(found)
        if type(found) not in kinds:
            raise _MistypedError
        return found

    return check


def _messages(value: Any) -> list[Message]:
    found = plain(value)
    if type(found) is not list:
        raise _MistypedError
    messages: list[Message] = []
    for item in found:
        role = item.get("role") if type(item) is dict else None
        if type(role) is not str or role not in _ROLES or type(item.get("content")) is not str:
            raise _MistypedError
        messages.append({"role": cast("Any", role), "content": item["content"]})
    return messages


_CHECKS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "string": (_of(str), "a text"),
    "integer": (_of(int), "a whole number"),
    "number": (_of(int, float), "a number"),
    "boolean": (_of(bool), "true or false"),
    "list": (_of(list), "a list"),
    "object": (_of(dict), "a dict, dataclass or model"),
    "messages": (_messages, "a list of messages, each with a role and a text as content"),
    "any": (plain, "plain data"),
}


class VariableTable:
    """What one prompt takes.

    Attributes:
        variables: The variables, by name.
        lines: The line of the templates, from 1, on which each is used first; unused ones are not in it.
    """

    __slots__ = (
        "_defaults",
        "_names",
        "_required",
        "_shared",
        "_simple",
        "_template",
        "_version",
        "lines",
        "variables",
    )

    def __init__(
        self,
        template: str,
        version: str,
        variables: Mapping[str, PromptVariable],
        lines: Mapping[str, int],
        *,
        simple: bool,
        absent: Mapping[str, Any],
    ) -> None:
        """Prepare the checks.

        Args:
            template: Name of the prompt, for errors.
            version: Its version, for errors.
            variables: The variables, by name.
            lines: Where each is used first.
            simple: Whether they are written by the simple syntax, which takes nothing but texts and numbers.
            absent: The value of each optional variable that is not given; one that is not in it stays undefined.
        """
        self._template, self._version, self._simple = template, version, simple
        self.variables = dict(variables)
        self.lines = dict(lines)
        self._names = frozenset(variables)
        self._required = frozenset(name for name, variable in variables.items() if variable.required)
        self._defaults = dict(absent)
        self._shared = [name for name, value in absent.items() if isinstance(value, list | dict)]

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of every variable as plain data, defaults filled in.

        Args:
            given: What the caller gave.

        Returns:
            Plain data, by variable.

        Raises:
            TemplateVariableError: Variables are missing, extra or mistyped; tells all of them.
        """
        names = given.keys()
        fits = self._required <= names <= self._names
        values = {**self._defaults, **given}
        for name in self._shared:  # a template must not be given the definition's own list
            if name not in given:
                values[name] = plain(values[name])
        wrong: dict[str, str] = {}
        for name, value in given.items():
            variable = self.variables.get(name)
            if variable is None:
                continue
            if type(value) is str and variable.type in {"string", "any"} and variable.max_characters is None:
                continue  # by far the most
            try:
                values[name] = self._value(variable, value)
            except _MistypedError:
                wrong[name] = f"expected {self._expected(variable)}, found {kind_of(value)}"
            except UnsupportedValueError as error:
                wrong[name] = f"cannot be shown to a template: found {error}"
            except _TooLongError as error:
                wrong[name] = str(error)
        if fits and not wrong:
            return values
        raise TemplateVariableError(self._template, self._version, self._problems(set(names), wrong))

    def accepts(self, name: str, value: Any) -> bool:
        """Whether a variable takes a value."""
        try:
            self._value(self.variables[name], value)
        except (_MistypedError, _TooLongError, UnsupportedValueError):
            return False
        return True

    def _value(self, variable: PromptVariable, value: Any) -> Any:
        if value is None and not variable.required:
            return None
        found = _CHECKS[variable.type][0](value)
        if self._simple and variable.type != "messages":
            found = str(found) if isinstance(found, str) else found
            if found is None or type(found) not in _WRITABLE:
                raise _MistypedError
            if type(found) is int and found.bit_length() > _MOST_BITS:
                raise _TooLongError("a number of thousands of digits")
        if variable.max_characters is not None and type(found) is str and len(found) > variable.max_characters:
            raise _TooLongError(f"at most {variable.max_characters:,} characters, found {len(found):,}")
        return found

    def _expected(self, variable: PromptVariable) -> str:
        if self._simple and variable.type in {"any", "list", "object"}:
            return "a text or number, which is all that the simple syntax writes"
        return _CHECKS[variable.type][1]

    def _problems(self, names: set[str], wrong: Mapping[str, str]) -> list[VariableProblem]:
        problems = [
            VariableProblem(name, "missing", f"is missing: expected {self._expected(variable)}", self.lines.get(name))
            for name, variable in self.variables.items()
            if name in self._required - names
        ]
        problems += [
            VariableProblem(name, "mistyped", message, self.lines.get(name)) for name, message in wrong.items()
        ]
        for name in sorted(names - self._names):
            hint = did_you_mean(name, self._names - names) or self._taken()
            problems.append(VariableProblem(name[:100], "extra", f"is no variable of this prompt{hint}"))
        return problems

    def _taken(self) -> str:
        return f"; it takes {', '.join(sorted(self._names))}" if self._names else "; it takes none"


class _TooLongError(Exception):
    """A text is longer than its variable allows."""
