"""What a prompt file holds: one prompt in one version and one locale."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)

from ragtime.records.base import Record, freeze
from ragtime.utils.templates.file_stamps import DEVICE_NAMES

__all__ = [
    "MAX_PROMPT_BYTES",
    "Example",
    "ExamplesEntry",
    "InsertEntry",
    "PromptDefinition",
    "PromptTest",
    "PromptVariable",
    "RoleEntry",
    "Syntax",
    "Variant",
    "check_locale",
    "check_name",
    "version_key",
]

MAX_PROMPT_BYTES = 1_000_000
"""Largest prompt file that is read, in bytes."""

Role = Literal["system", "user", "assistant", "tool"]
Syntax = Literal["jinja", "simple"]
VariableType = Literal["string", "integer", "number", "boolean", "list", "object", "messages", "any"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4}")
_JINJA_MARKS = ("{{", "{%", "{#")


def check_name(name: str) -> str:
    """Check the name of a prompt, partial or variant.

    Args:
        name: The name.

    Returns:
        The name.

    Raises:
        ValueError: It is empty, longer than 100 characters, holds something else than letters, digits, ``_`` and ``-``,
            or is a name that some file systems keep for devices.
    """
    if not _NAME.fullmatch(name) or name.lower() in DEVICE_NAMES:
        raise ValueError(
            "a name has 1 to 100 ASCII letters, digits, _ and -, begins with a letter or digit, and is no device"
        )
    return name


def check_locale(locale: str) -> str:
    """Bring a locale into its usual form, such as ``en`` or ``pt-BR``.

    Args:
        locale: The locale, in any case, with ``-`` or ``_``.

    Returns:
        Its usual form.

    Raises:
        ValueError: It does not look like one.
    """
    if not _LOCALE.fullmatch(locale):
        raise ValueError("a locale looks like en, pt-BR or zh-Hant-TW")
    language, *rest = locale.replace("_", "-").split("-")
    return "-".join([language.lower(), *(part.upper() if len(part) == 2 else part.title() for part in rest)])  # noqa: PLR2004


def version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return what versions are compared by: numbers as numbers, ``1.10`` after ``1.9``, ``2`` after ``2-beta``."""
    parts = re.findall(r"\d+|[A-Za-z]+", version)
    # A number comes after a word, and the end (1) between: 2-beta < 2 < 2.1
    return (*((2, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in parts), (1, 0, ""))


def _version(version: object) -> object:
    if isinstance(version, int) and not isinstance(version, bool):
        return str(version)
    return version


def _check_version(version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise ValueError("a version has 1 to 50 letters, digits, dots, _ and -")
    return version


def _joined(text: object) -> object:
    """Take a list of lines for a text: JSON has no other way to break one."""
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "\n".join(text)
    return text


Name = Annotated[str, AfterValidator(check_name)]
Version = Annotated[str, BeforeValidator(_version), AfterValidator(_check_version)]
Locale = Annotated[str, AfterValidator(check_locale)]
TemplateText = Annotated[str, BeforeValidator(_joined)]
Frozen = AfterValidator(freeze)
Example = Annotated[dict[str, JsonValue], Frozen]


class PromptVariable(Record):
    """A variable that a prompt declares.

    Attributes:
        type: What its value must be; ``messages`` is a list of earlier messages, each with role and content.
        required: Whether a value has to be given; by default, unless there is a default.
        default: The value when none is given; without one, an optional variable is ``None``, written as nothing.
        description: What it is for.
        priority: Which variables are cut first when the prompt has to fit a budget: the lowest; ``None`` means never.
        cut: What goes first when it is cut: the end or the start of a text or list, the middle of a text, or all of it.
        max_characters: Longest text; ``None`` means any length.
    """

    type: VariableType = "string"
    required: bool = True
    default: JsonValue = None
    description: str = ""
    priority: int | None = None
    cut: Literal["end", "start", "middle", "drop"] = "end"
    max_characters: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _default_makes_optional(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and "default" in data:
            if data.get("required"):
                raise ValueError("a variable with a default is not required")
            return {**data, "required": False}
        return data


class RoleEntry(Record):
    """A message of a chat prompt.

    Attributes:
        role: Who says it.
        template: What is said, as a template.
    """

    role: Role
    template: TemplateText


class InsertEntry(Record):
    """The place of earlier messages in a chat prompt.

    Attributes:
        insert: Name of the variable of type ``messages`` that holds them.
        roles: The roles that they may have.
    """

    insert: str
    roles: tuple[Role, ...] = ("user", "assistant", "tool")


class ExamplesEntry(Record):
    """The place of the few-shot examples in a chat prompt: one message a role for each example.

    Attributes:
        examples: A template for each role, in order; the fields of an example are its variables.
    """

    examples: Annotated[dict[Role, TemplateText], Frozen]


def _entry_kind(entry: Any) -> str:
    keys = entry if isinstance(entry, Mapping) else vars(entry) if isinstance(entry, Record) else ()
    return next((kind for kind in ("insert", "examples") if kind in keys), "role")


MessageEntry = Annotated[
    Annotated[RoleEntry, Tag("role")]
    | Annotated[InsertEntry, Tag("insert")]
    | Annotated[ExamplesEntry, Tag("examples")],
    Discriminator(_entry_kind),  # so that an error speaks of the one kind that is meant
]


class _Body(Record):
    """What is rendered: a text, or messages."""

    template: TemplateText | None = None
    messages: tuple[MessageEntry, ...] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.template is None) == (self.messages is None):
            raise ValueError("needs either template or messages")
        if self.messages is not None and not self.messages:
            raise ValueError("messages must not be empty")
        return self

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield every template text, with the way to it in the definition, such as ``messages[1]``."""
        if self.template is not None:
            yield "template", self.template
        for index, entry in enumerate(self.messages or ()):
            if isinstance(entry, RoleEntry):
                yield f"messages[{index}]", entry.template
            elif isinstance(entry, ExamplesEntry):
                for role, text in entry.examples.items():
                    yield f"messages[{index}].examples.{role}", text


class Variant(_Body):
    """Another wording of a prompt, for comparison.

    Attributes:
        template: The wording of a text prompt; ``None`` for a chat prompt.
        messages: The wording of a chat prompt; ``None`` for a text prompt.
        weight: How often it is chosen for a subject, relative to the weights of the others.
        description: What is different.
    """

    weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1.0
    description: str = ""


class PromptTest(Record):
    """What a rendering has to be like, checked by ``ragtime prompts check``.

    Attributes:
        variables: The variables of the rendering.
        variant: The variant; ``None`` means the prompt's own wording.
        equals: The whole text; ``None`` means that it is not compared.
        contains: Texts that have to be in it.
        excludes: Texts that must not be.
        roles: The roles of the messages, in order; ``None`` means that they are not compared.
    """

    variables: Annotated[dict[str, JsonValue], Frozen] = Field(default_factory=dict)
    variant: Name | None = None
    equals: TemplateText | None = None
    contains: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    roles: tuple[Role, ...] | None = None


class PromptDefinition(_Body):
    """A prompt as it is written down.

    Attributes:
        name: What it is called.
        category: What it is for, to list prompts by.
        description: A sentence for people.
        version: Its version; numbers compare as numbers, and the highest is taken when none is asked for.
        locale: Its language; ``None`` means that it serves every language.
        syntax: ``jinja``, or ``simple`` for ``{name}``; ``None`` means jinja when the templates hold ``{{``, ``{%`` or
            ``{#``, else simple.
        template: The text of a text prompt, as one text or a list of lines; ``None`` for a chat prompt.
        messages: The messages of a chat prompt; ``None`` for a text prompt.
        variables: What it takes; ``None`` means whatever its templates use.
        partials: Pieces of template, by name, for ``{% include "name" %}``, or ``{name}`` in the simple syntax.
        examples: Few-shot examples, each with fields of its own.
        example_template: Template of one example, whose fields are its variables; the examples so written are the
            variable ``examples``. ``None`` means that ``examples`` is the list itself.
        example_separator: Stands between two examples that are written.
        variants: Other wordings, by name.
        weight: How often its own wording is chosen for a subject, relative to the weights of the variants.
        tests: What renderings have to be like.
        metadata: Anything else.
    """

    name: Name
    category: Name = "general"
    description: str = ""
    version: Version = "1"
    locale: Locale | None = None
    syntax: Syntax | None = None
    variables: Annotated[dict[str, PromptVariable], Frozen] | None = None
    partials: Annotated[dict[Name, TemplateText], Frozen] = Field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    example_template: TemplateText | None = None
    example_separator: str = "\n\n"
    variants: Annotated[dict[Name, Variant], Frozen] = Field(default_factory=dict)
    weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1.0
    tests: tuple[PromptTest, ...] = ()
    metadata: Annotated[dict[str, JsonValue], Frozen] = Field(default_factory=dict)

    @field_validator("variables")
    @classmethod
    def _identifiers(cls, variables: dict[str, PromptVariable] | None) -> dict[str, PromptVariable] | None:
        for name in variables or ():
            if not name.isidentifier():
                raise ValueError(f"a variable is called by an identifier, not {name[:50]!r}")
        return variables

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        variables = self.variables or {}
        if self.examples and "examples" in variables:
            raise ValueError("a prompt with examples cannot declare a variable called examples")
        if self.example_template is not None and not self.examples:
            raise ValueError("example_template needs examples")
        bodies: list[_Body] = [self, *self.variants.values()]
        for body in bodies:
            for entry in body.messages or ():
                if not isinstance(entry, InsertEntry):
                    continue
                declared = variables.get(entry.insert)
                if self.variables is not None and (declared is None or declared.type != "messages"):
                    raise ValueError(
                        f"insert names {entry.insert[:50]!r}, which is no declared variable of type messages"
                    )
        clashes = sorted(set(self.partials) & set(variables))
        if clashes and self.effective_syntax == "simple":
            raise ValueError(f"{clashes[0]!r} is both a partial and a variable")
        return self

    @property
    def effective_syntax(self) -> Syntax:
        """The syntax of all its templates."""
        if self.syntax is not None:
            return self.syntax
        texts = [text for body in (self, *self.variants.values()) for _, text in body.texts()]
        texts += [*self.partials.values(), self.example_template or ""]
        return "jinja" if any(mark in text for text in texts for mark in _JINJA_MARKS) else "simple"
