"""One prompt, ready to be rendered: one version, one locale, one variant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Protocol, Self

from ragtime.errors import (
    RenderLimitError,
    TemplateError,
    TemplateNotFoundError,
    TemplateSyntaxError,
    TemplateVariableError,
    VariableProblem,
    did_you_mean,
)
from ragtime.protocols import Message, TokenCounter
from ragtime.utils.hashing import content_hash
from ragtime.utils.templates.engine.engine import Source, TemplateEngine
from ragtime.utils.templates.engine.plain import plain
from ragtime.utils.templates.engine.simple import SimpleTemplate, expand_partials
from ragtime.utils.templates.prompts.closure import Closure
from ragtime.utils.templates.prompts.definitions import (
    ExamplesEntry,
    InsertEntry,
    PromptDefinition,
    PromptVariable,
    RoleEntry,
)
from ragtime.utils.templates.prompts.fitting import FittedPrompt, fit_values
from ragtime.utils.templates.prompts.variables import VariableTable

__all__ = [
    "Prompt",
    "PromptSource",
    "RenderedMessages",
    "RenderedPrompt",
    "UndeclaredVariableError",
    "WrongDefaultError",
]

_EXAMPLES = "examples"
_EXAMPLE = "example_template"
_JINJA_WORD = "self"


class UndeclaredVariableError(TemplateSyntaxError):
    """A template uses a variable that its prompt does not declare."""


class WrongDefaultError(TemplateSyntaxError):
    """The default of a variable is not of its type."""


@dataclass(frozen=True, slots=True)
class PromptSource:
    """Which prompt made a text, so that a training row can be tied to it.

    Attributes:
        name: Name of the prompt.
        version: Its version.
        content_hash: SHA-256 of all that its renderings depend on but the variables: templates, partials, examples.
        variant: The variant; ``None`` means the prompt's own wording.
        locale: Its locale; ``None`` means that it serves every language.
    """

    name: str
    version: str
    content_hash: str
    variant: str | None = None
    locale: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """Return the fields as a JSON object."""
        return asdict(self)


class RenderedPrompt(str):  # noqa: SLOT000 - carries an attribute
    """The text of a prompt; a ``str`` that knows where it comes from.

    Attributes:
        source: The prompt that made it; ``None`` once the text was changed, for then it is a mere ``str``.
    """

    source: PromptSource | None

    def __new__(cls, text: str = "", source: PromptSource | None = None) -> Self:
        """Make a text of `source`."""
        made = super().__new__(cls, text)
        made.source = source
        return made


class RenderedMessages(list[Message]):
    """The messages of a prompt; a list that knows where it comes from.

    Attributes:
        source: The prompt that made them.
    """

    def __init__(self, messages: Iterable[Message] = (), source: PromptSource | None = None) -> None:
        """Hold the messages of `source`."""
        super().__init__(messages)
        self.source = source


class _Text(Protocol):
    """A template text of either syntax."""

    def render(self, values: Mapping[str, Any], max_characters: int | None = None) -> str: ...


class _JinjaText:
    """A Jinja text with the sources that it includes."""

    __slots__ = ("_engine", "_lookup", "source")

    def __init__(self, engine: TemplateEngine, source: Source, lookup: Callable[[str], Source]) -> None:
        self._engine, self.source, self._lookup = engine, source, lookup

    def render(self, values: Mapping[str, Any], max_characters: int | None = None) -> str:  # noqa: ARG002 - the engine's
        return self._engine.render(self.source, values, self._lookup)


class Prompt:
    """A prompt in one version, locale and variant; ``PromptManager.get`` returns one.

        >>> from ragtime.utils.templates import PromptManager
        >>> greeting = PromptManager().get("greeting")
        >>> "Ann" in greeting.render(name="Ann")
        True

    All methods may be called from many threads.

    Attributes:
        definition: What was written down.
        source: What renderings are tied to.
        file: Where it was read from; ``None`` when it was added by code.
    """

    def __init__(
        self,
        definition: PromptDefinition,
        *,
        engine: TemplateEngine,
        variant: str | None = None,
        file: str | None = None,
        find: Callable[[str], PromptDefinition | None] = lambda _: None,
    ) -> None:
        """Bind a definition.

        Args:
            definition: What was written down.
            engine: Renders Jinja templates.
            variant: The variant; ``None`` means the prompt's own wording.
            file: Where it was read from; ``None`` when it was added by code.
            find: Returns another text prompt, whose template this one may include; ``None`` when there is none.

        Raises:
            TemplateNotFoundError: There is no such variant, or no such template to include.
            TemplateSyntaxError: A template is wrong, uses a variable that is not declared, or includes itself.
        """
        if variant is not None and variant not in definition.variants:
            known = ", ".join(definition.variants) or "none"
            hint = did_you_mean(variant, definition.variants)
            raise TemplateNotFoundError(
                f"Prompt {definition.name!r} has no variant {variant[:100]!r}{hint}; there are: {known}"
            )
        self.definition = definition
        self.file = file
        self._engine = engine
        self._simple = definition.effective_syntax == "simple"
        self._body = definition if variant is None else definition.variants[variant]
        self._closure = Closure(definition, engine, find)
        self._required: dict[str, int] = {}
        self._optional: dict[str, int] = {}
        self._texts = {place: self._text(place, text) for place, text in self._body.texts()}
        self._example = self._text(_EXAMPLE, definition.example_template) if definition.example_template else None
        self._table = self._make_table()
        self.source = PromptSource(definition.name, definition.version, self._hash(), variant, definition.locale)
        self._check_examples()

    # --- binding ------------------------------------------------------------------------------------------------

    def _text(self, place: str, text: str) -> _Text:
        """Make a template text ready, and note the variables it uses."""
        if self._simple:
            simple = SimpleTemplate(expand_partials(text, self.definition.partials))
            lines = SimpleTemplate(text).names  # in a partial, a line would be that of the expanded text
            self._note(place, {name: lines.get(name, line) for name, line in simple.names.items()}, {})
            return simple
        name = self.definition.name if place == "template" else f"{self.definition.name}, {place}"
        source = Source(name, text, self.file)
        self._note(place, *self._closure.add(source))
        self._engine.compile(source)
        return _JinjaText(self._engine, source, self._closure.lookup)

    def _note(self, place: str, required: Mapping[str, int], optional: Mapping[str, int]) -> None:
        if place == _EXAMPLE or ".examples." in place:
            return  # their variables are the fields of the examples
        if _JINJA_WORD in required and not self._simple:
            raise TemplateSyntaxError(
                f"Prompt {self.definition.name!r}, line {required[_JINJA_WORD]}: self is Jinja's word, and no variable"
            )
        self._required |= {name: line for name, line in required.items() if name not in self._required}
        self._optional |= {name: line for name, line in optional.items() if name not in self._optional}

    def _hash(self) -> str:
        definition = self.definition
        variables = (definition.variables or {}).items()
        return content_hash(
            {
                "syntax": definition.effective_syntax,
                "texts": [[place, text] for place, text in self._body.texts()],
                "entries": [entry.model_dump(mode="json") for entry in self._body.messages or ()],
                "variables": {name: [one.type, one.required, one.default] for name, one in variables},
                "included": {
                    name: definition.partials[name] for name in sorted(self.included & definition.partials.keys())
                }
                if self._simple
                else self._closure.hashes,
                "examples": [list(definition.examples), definition.example_template, definition.example_separator],
            }
        )

    def _make_table(self) -> VariableTable:
        definition = self.definition
        given = {_EXAMPLES} if definition.examples else set()
        required = {name: line for name, line in self._required.items() if name not in given}
        optional = {name: line for name, line in self._optional.items() if name not in given | required.keys()}
        lines = {**optional, **required}
        absent: dict[str, Any] = {}
        if definition.variables is None:
            variables = {name: PromptVariable(type="any") for name in required}
            variables |= {name: PromptVariable(type="any", required=False) for name in optional}
            inserts = [entry.insert for entry in self._body.messages or () if isinstance(entry, InsertEntry)]
            variables |= {name: PromptVariable(type="messages") for name in inserts}
        else:
            variables = dict(definition.variables)
            self._check_declared(lines, variables)
            absent = {name: variable.default for name, variable in variables.items() if not variable.required}
        table = VariableTable(definition.name, definition.version, variables, lines, simple=self._simple, absent=absent)
        for name, default in absent.items():
            if default is not None and not table.accepts(name, default):
                raise WrongDefaultError(
                    f"Prompt {definition.name!r}: the default of {name!r} is not of the type {variables[name].type}"
                )
        return table

    def _check_examples(self) -> None:
        """Write every example once, so that a field that is missing is told now and not when the prompt is used."""
        try:
            _ = self._examples
            for index, entry in enumerate(self._body.messages or ()):
                if isinstance(entry, ExamplesEntry):
                    self._example_messages(index, entry)
        except TemplateError as error:
            reason = str(error)
        else:
            return
        raise TemplateSyntaxError(reason)

    def _check_declared(self, lines: Mapping[str, int], variables: Mapping[str, PromptVariable]) -> None:
        for name, line in lines.items():
            if name not in variables:
                hint = did_you_mean(name, variables)
                raise UndeclaredVariableError(
                    f"Prompt {self.definition.name!r}, line {line}: uses {name!r}, which it does not declare{hint}"
                )
        if _JINJA_WORD in variables and not self._simple:
            raise TemplateSyntaxError(f"Prompt {self.definition.name!r}: self is a word of Jinja's, and no variable")

    # --- rendering ----------------------------------------------------------------------------------------------

    @property
    def variables(self) -> dict[str, PromptVariable]:
        """What it takes, by name: as declared, or as its templates use them."""
        return dict(self._table.variables)

    @property
    def used(self) -> dict[str, int]:
        """The variables that its templates use, each with the line of its first use."""
        return dict(self._table.lines)

    @property
    def included(self) -> frozenset[str]:
        """The names of its own partials that its templates include, be it through others."""
        if not self._simple:
            return self._closure.partials
        found: set[str] = set()
        pending = [text for _, text in self._body.texts()] + [self.definition.example_template or ""]
        while pending:
            names = set(SimpleTemplate(pending.pop()).names) & set(self.definition.partials) - found
            found |= names
            pending += [self.definition.partials[name] for name in names]
        return frozenset(found)

    @property
    def is_chat(self) -> bool:
        """Whether it was written as messages."""
        return self._body.messages is not None

    def render(self, /, **variables: Any) -> RenderedPrompt:
        """Render it as one text.

        Args:
            **variables: The variables; every name is free for them.

        Returns:
            The text. Of a chat prompt, the contents of its messages with a blank line between two.

        Raises:
            TemplateVariableError: Variables are missing, extra or mistyped.
            TemplateError: The rendering failed.
        """
        return RenderedPrompt(self._write(self._table.check(variables)), self.source)

    def messages(self, /, **variables: Any) -> RenderedMessages:
        """Render it as messages to a language model.

        The messages are made one by one as objects, and never read from a text, so that no value can add a message or
        change a role.

        Args:
            **variables: The variables; every name is free for them.

        Returns:
            The messages. Of a text prompt, one of the user.

        Raises:
            TemplateVariableError: Variables are missing, extra or mistyped, an inserted message has a role that it must
                not have among them.
            TemplateError: The rendering failed.
        """
        return RenderedMessages(self._write_messages(self._table.check(variables)), self.source)

    def fit(
        self,
        variables: Mapping[str, Any],
        *,
        max_tokens: int,
        counter: TokenCounter | None = None,
        tokens_per_message: int = 0,
    ) -> FittedPrompt:
        """Render it within a budget, cutting variables in the order of their declared priority.

        The variable with the lowest priority is cut first, and only as far as needed; the next one only once that is
        all gone. Variables without a priority stay whole. Texts are cut between words, never inside a fenced block of
        code; lists and messages lose whole items.

        Args:
            variables: The variables.
            max_tokens: The budget, in tokens.
            counter: Counts; ``None`` means the estimate of ``ragtime.utils.tokens``.
            tokens_per_message: What each message costs beside its content, in tokens.

        Returns:
            The text and messages, their tokens, and what was cut.

        Raises:
            TemplateVariableError: Variables are missing, extra or mistyped.
            TemplateError: It does not fit with all of them cut away; tells how many tokens it needs.
        """
        values = self._table.check(variables)
        return fit_values(
            values,
            self._table.variables,
            write=lambda changed: self._write_messages(changed) if self.is_chat else self._write(changed),
            who=f"Prompt {self.definition.name!r}",
            max_tokens=max_tokens,
            counter=counter,
            tokens_per_message=tokens_per_message,
            source=self.source,
        )

    def _write(self, values: dict[str, Any]) -> str:
        if self._body.template is None:
            return "\n\n".join(message["content"] for message in self._write_messages(values))
        return self._render("template", self._with_examples(values))

    def _render(self, place: str, values: Mapping[str, Any]) -> str:
        return self._texts[place].render(values, self._engine.limits.max_output_characters)

    def _with_examples(self, values: dict[str, Any]) -> dict[str, Any]:
        if self.definition.examples:
            values[_EXAMPLES] = plain(self._examples)  # a copy: a template must not be given the definition's own
        return values

    def _write_messages(self, values: dict[str, Any]) -> list[Message]:
        if self._body.messages is None:
            return [{"role": "user", "content": self._write(values)}]
        values = self._with_examples(values)
        found: list[Message] = []
        for index, entry in enumerate(self._body.messages):
            if isinstance(entry, RoleEntry):
                found.append({"role": entry.role, "content": self._render(f"messages[{index}]", values)})
            elif isinstance(entry, InsertEntry):
                found.extend(self._inserted(entry, values.get(entry.insert)))
            else:
                found.extend(self._example_messages(index, entry))
        size = sum(len(message["content"]) for message in found)
        if size > self._engine.limits.max_output_characters:
            raise RenderLimitError(
                f"Prompt {self.definition.name!r}: stopped: messages of {size:,} characters together "
                "(templates.max_output_characters)"
            )
        return found

    def _inserted(self, entry: InsertEntry, messages: list[Message] | None) -> list[Message]:
        wrong = sorted({message["role"] for message in messages or ()} - set(entry.roles))
        if wrong:
            text = f"messages of {', '.join(wrong)} may not be inserted here, only of {', '.join(entry.roles)}"
            raise TemplateVariableError(
                self.definition.name, self.definition.version, [VariableProblem(entry.insert, "mistyped", text)]
            )
        return [{"role": message["role"], "content": message["content"]} for message in messages or ()]

    @cached_property
    def _examples(self) -> Any:
        definition = self.definition
        if self._example is None:
            return [dict(example) for example in definition.examples]
        return definition.example_separator.join(
            _write_example(definition, self._example, one) for one in definition.examples
        )

    def _example_messages(self, index: int, entry: ExamplesEntry) -> list[Message]:
        return [
            {
                "role": role,
                "content": _write_example(self.definition, self._texts[f"messages[{index}].examples.{role}"], example),
            }
            for example in self.definition.examples
            for role in entry.examples
        ]


def _write_example(definition: PromptDefinition, text: _Text, example: Mapping[str, Any]) -> str:
    try:
        return text.render(plain(example))
    except KeyError as error:
        field = error.args[0]
    raise TemplateError(f"Prompt {definition.name!r}: an example has no field {field!r}")
