"""Prompt files of the old system: where they lie, their two shapes, and how their texts are filled.

The older shape is flat, one text a name. The newer one keeps ``base_templates``, ``system_instructions`` and
``context_formats`` apart, and may hold texts of the older kind as ``legacy_templates``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from ragtime_compat.prompt_texts import built_in_templates

__all__ = [
    "INITIAL",
    "STANDARD",
    "fill",
    "fill_slots",
    "first_text",
    "has_parts",
    "name_of",
    "names_in",
    "read_prompt_file",
    "templates_path",
    "texts_in",
    "whole_texts",
    "with_instruction",
]

INITIAL = "initial"
"""The context format that stands in for an unknown one."""
STANDARD = "standard"
"""The style that stands in for an unknown one."""

_SLOT = re.compile(r"\{([^\W\d]\w*)\}")
_BASE_SLOTS = frozenset({"context_section", "question"})


def templates_path() -> str:
    """Return the path of the prompt file: ``PROMPT_TEMPLATES_PATH``, read now, or ``./prompt_templates.json``."""
    chosen = os.environ.get("PROMPT_TEMPLATES_PATH") or "./prompt_templates.json"
    return os.path.expanduser(chosen)  # noqa: PTH111 - Path would drop the "./" that callers know


def read_prompt_file(path: str) -> dict[str, Any]:
    """Read a prompt file.

    Args:
        path: The file.

    Returns:
        What it holds, in either shape; texts and sections are not checked.

    Raises:
        OSError: It is not there (``FileNotFoundError``), or cannot be read.
        ValueError: It is no JSON object.
    """
    try:
        found = json.loads(Path(path).read_bytes())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the content is wrong, not an argument
    return found


def has_parts(templates: Mapping[str, Any]) -> bool:
    """Whether prompts are of the newer shape."""
    return "base_templates" in templates and "context_formats" in templates


def texts_in(templates: Mapping[str, Any], section: str | None = None) -> dict[str, str]:
    """Return the texts of a section, or of the top level; what is no text is left out."""
    found = templates if section is None else templates.get(section)
    if not isinstance(found, Mapping):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)}


def name_of(value: object) -> str:
    """Return a name that a caller gives; whatever is no text, such as a list out of a request, names nothing."""
    return value if isinstance(value, str) else ""


def first_text(texts: Mapping[str, str], built_in: Mapping[str, str], name: str, otherwise: str) -> str:
    """Return the text of a name, else that of another one, else the built-in text of that."""
    return texts.get(name, texts.get(otherwise, built_in[otherwise]))


def with_instruction(instruction: str, prompt: str) -> str:
    """Return a prompt with its system instruction, when there is one, in front."""
    return f"{instruction}\n\n{prompt}" if instruction else prompt


def whole_texts(templates: Mapping[str, Any]) -> dict[str, str]:
    """Return every prompt as one text with ``{context}`` and ``{question}``, for ``.format``.

    Args:
        templates: Prompts in either shape.

    Returns:
        Of the flat shape, its texts as they are; of the newer one, its ``legacy_templates``, and of each further style
        the instruction, the format of a first question's context and the base put together.
    """
    if not has_parts(templates):
        return texts_in(templates)
    built_in = built_in_templates()["context_formats"]
    section = first_text(texts_in(templates, "context_formats"), built_in, INITIAL, INITIAL)
    instructions = texts_in(templates, "system_instructions")
    styles = {
        style: with_instruction(
            _for_format(instructions.get(style, "")),
            fill_slots(_for_format(base), {"context_section": section}),
        )
        for style, base in texts_in(templates, "base_templates").items()
    }
    return {**styles, **texts_in(templates, "legacy_templates")}


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Fill a text of the flat shape, or a context format; values are not read again.

    A text that ``str.format`` takes is filled by it, as ever: its double braces become single ones. In every other one,
    such as a text with an example in JSON, braces are braces, and only ``{name}`` with a value is replaced.

    Args:
        text: The text.
        values: The values, by name; ``None`` is written as nothing.

    Returns:
        The filled text; a name without a value stays.
    """
    names = _format_names(text)
    if names is not None and names <= values.keys():
        return text.format_map({name: _written(values[name]) for name in names})
    return fill_slots(text, values)


def fill_slots(text: str, values: Mapping[str, Any]) -> str:
    """Replace each ``{name}`` that has a value, in one pass; all other braces stay as they are.

    Even double ones: the simple syntax of new prompts would make ``{{name}}`` a literal ``{name}``, and the old system
    never did.
    """
    return _SLOT.sub(lambda found: _written(values[found[1]]) if found[1] in values else found[0], text)


def names_in(text: str) -> frozenset[str]:
    """Return the names that `fill` has a text take."""
    names = _format_names(text)
    return frozenset(_SLOT.findall(text)) if names is None else names


def _written(value: Any) -> str:
    return "" if value is None else str(value)


def _format_names(text: str) -> frozenset[str] | None:
    """Return the names in a text for ``str.format``; ``None`` when it is none, or reaches into values."""
    names = set()
    try:
        for _, name, specification, _ in Formatter().parse(text):
            if name is not None:
                if not name.isidentifier() or "{" in (specification or ""):
                    return None
                names.add(name)
        text.format_map(dict.fromkeys(names, ""))  # a conversion or specification that no text has
    except ValueError:
        return None
    return frozenset(names)


def _for_format(text: str) -> str:
    """Double the braces of a text that ``str.format`` would stumble over, those of its slots not."""
    names = _format_names(text)
    if names is not None and names <= _BASE_SLOTS:
        return text
    doubled = text.replace("{", "{{").replace("}", "}}")
    return re.sub(r"\{\{(context_section|question)\}\}", r"{\1}", doubled)
