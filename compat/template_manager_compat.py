"""Deprecated: the old module ``template_manager``; ``ragtime.utils.templates.TemplateManager`` takes its place.

The wrapper is a subclass of that, and reads the prompt files of the old system, in both their shapes. ``PromptManager``
is exported, too. This module goes in ragtime 2.0.0; ``ragtime migrate`` rewrites its users.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

from ragtime.config.settings import Settings
from ragtime.migration.deprecation import deprecated_class
from ragtime.monitoring.logging import get_logger
from ragtime.utils.templates import PromptManager, RenderedPrompt
from ragtime.utils.templates import TemplateManager as _NewTemplateManager
from ragtime_compat.prompt_files import (
    INITIAL,
    STANDARD,
    fill,
    fill_slots,
    first_text,
    has_parts,
    name_of,
    names_in,
    read_prompt_file,
    templates_path,
    texts_in,
    with_instruction,
)
from ragtime_compat.prompt_texts import DEFAULT_TEMPLATES, built_in_templates

__all__ = ["PromptManager", "TemplateManager"]

_log = get_logger(f"ragtime.{__name__}")
_PARAMETERS = frozenset({"context", "question", "previous_content", "conversation_history", "conversation_summary"})
_FLAT_NAMES = {"follow_up": "follow_up_{}", "with_previous_content": "{}_with_previous_content"}
_MOST_TOLD = 1_000  # fallbacks remembered as logged; the names may come from outside, so there is no end of them


@deprecated_class("template_manager")
class TemplateManager(_NewTemplateManager):
    """Prompts of the old system: composed of a style and a kind of question, from one file.

    The file is read when the object is made; one that is missing or cannot be used means the built-in prompts, and
    nothing is written. All methods of the new class work beside the old ones, on prompts and pages of the new kind.

    Attributes:
        templates_path: The file.
        templates: What it holds; the built-in prompts, in the newer shape, when it could not be read.
        using_legacy: Whether that is the older, flat shape: whether ``base_templates`` or ``context_formats`` is not
            there.
    """

    def __init__(
        self,
        templates_path: str | os.PathLike[str] | None = None,
        *,
        path: str | Path | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Read the file.

        Args:
            templates_path: The file; ``None`` means ``PROMPT_TEMPLATES_PATH``, else ``./prompt_templates.json``; ``~``
                is the home folder.
            path: The folder of prompts and pages of the new kind; see ``ragtime.utils.templates.TemplateManager``.
            settings: The settings of those; ``None`` means the current ones.

        Raises:
            InvalidArgumentError: `path` is no folder of prompts or pages.
        """
        super().__init__(path, settings=settings)
        self.templates_path = _expanded(templates_path)
        self.templates = _read(self.templates_path)
        self.using_legacy = not has_parts(self.templates)

    def get_legacy_template(self, template_name: str) -> str | None:
        """Return a text of the flat shape as it is: of a flat file, or of ``legacy_templates``.

        Args:
            template_name: Its name.

        Returns:
            The text; ``None`` when there is none of that name.
        """
        return self._flat_texts().get(name_of(template_name))

    def get_system_instruction(self, style: str) -> str:
        """Return the system instruction of a style.

        What the old ``get_prompt`` returns begins with it: send one or the other, or the model is told twice.

        Args:
            style: Name of the style.

        Returns:
            The instruction; ``""`` in the flat shape, and for an unknown style.
        """
        return "" if self.using_legacy else texts_in(self.templates, "system_instructions").get(name_of(style), "")

    @overload
    def get_prompt(self, style: str, query_type: str, context_params: Mapping[str, Any]) -> str: ...
    @overload
    def get_prompt(self, name: str, /, **variables: Any) -> RenderedPrompt: ...
    def get_prompt(  # type: ignore[misc]  # the new call takes a variable called style, the old parameter is in its way
        self,
        style: str,
        query_type: str | None = None,
        context_params: Mapping[str, Any] | None = None,
        **variables: Any,
    ) -> str:
        """Compose a prompt for a style and a kind of question, or render a prompt of the new kind.

        ``get_prompt("standard", "initial", params)`` composes, and ``get_prompt("greeting", name="Ann")`` renders; a
        call with any further keyword, or with nothing but a name, renders.

        Of a flat file, the text ``follow_up_{style}``, ``{style}_with_previous_content`` or ``{style}`` is taken, as
        the kind says, else ``standard``. In the newer shape, the format of the kind (else ``initial``) is filled and
        takes the place of ``{context_section}`` in the text of the style (else ``standard``), and the system
        instruction of the style goes in front; when the format names what `context_params` does not hold, the text
        ``standard`` of ``legacy_templates`` is taken. Where the file has no such text, either, the built-in one serves.

        The question is filled in when `context_params` holds it, in both shapes; when not, ``{question}`` stays for the
        caller. Each text is filled once: nothing in a document or question is read as a placeholder. Whoever gives the
        result to ``str.format`` or another template engine all the same has to fear every brace of a document.

        Args:
            style: Name of the style, or of the prompt to render.
            query_type: Kind of the question: ``initial``, ``follow_up``, ``with_previous_content``, or another one of
                the file.
            context_params: What is filled in: ``context``, ``question``, ``previous_content``,
                ``conversation_history``, ``conversation_summary``; further ones that the texts do not name are not
                looked at, and ``None`` is written as nothing.
            **variables: The variables of the prompt to render; one called ``style`` cannot be among them, and is given
                through ``prompts.get_prompt``.

        Returns:
            The text. What is missing is replaced as said above, and logged; a composition raises nothing.

        Raises:
            TemplateError: A prompt is to be rendered, and is missing, wrong, or was given wrong variables.
        """
        if variables or (query_type is None and context_params is None):
            named = {"query_type": query_type, "context_params": context_params}
            return super().get_prompt(
                style, **{name: value for name, value in named.items() if value is not None}, **variables
            )
        values = {"question": "{question}", **(context_params or {})}
        style, kind = name_of(style), name_of(query_type) or INITIAL
        return self._flat_prompt(style, kind, values) if self.using_legacy else self._prompt(style, kind, values)

    def _flat_texts(self) -> dict[str, str]:
        return texts_in(self.templates, None if self.using_legacy else "legacy_templates")

    def _prompt(self, style: str, query_type: str, values: Mapping[str, Any]) -> str:
        built_in = built_in_templates()
        formats, bases = texts_in(self.templates, "context_formats"), texts_in(self.templates, "base_templates")
        section = first_text(formats, built_in["context_formats"], query_type, INITIAL)
        if query_type not in formats:
            self._tell(query_type, f"there is no such query type; {INITIAL} is taken")
        missing = names_in(section) - values.keys()
        if missing:
            self._tell(query_type, f"its context needs {', '.join(sorted(missing))}; a legacy template is taken")
            return self._flat_prompt(STANDARD, INITIAL, values)
        if style not in bases:
            self._tell(style, f"there is no such style; {STANDARD} is taken")
        base = first_text(bases, built_in["base_templates"], style, STANDARD)
        prompt = fill_slots(base, {"context_section": fill(section, values), "question": values["question"]})
        return with_instruction(self.get_system_instruction(style), prompt)

    def _flat_prompt(self, style: str, query_type: str, values: Mapping[str, Any]) -> str:
        texts = self._flat_texts()
        for name in dict.fromkeys((_FLAT_NAMES.get(query_type, "{}").format(style), STANDARD)):
            if name not in texts:
                self._tell(name, "there is no such text")
                continue
            missing = (names_in(texts[name]) & _PARAMETERS) - values.keys()
            if not missing:
                return fill(texts[name], values)
            self._tell(name, f"it needs {', '.join(sorted(missing))}")
        return fill(DEFAULT_TEMPLATES[STANDARD], {"context": "", **values})

    def _tell(self, wanted: str, reason: str) -> None:
        key = f"{wanted}: {reason}"
        if key not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(key)
            _log.warning("Another prompt is taken than was asked for", wanted=wanted, reason=reason)


def _expanded(path: str | os.PathLike[str] | None) -> str:
    # Path would drop the "./" that callers know.
    return os.path.expanduser(os.fspath(path)) if path else templates_path()  # noqa: PTH111


def _read(path: str) -> dict[str, Any]:
    try:
        return read_prompt_file(path)
    except FileNotFoundError:
        _log.info("There is no prompt file; the built-in prompts are taken")
    except (OSError, ValueError) as error:
        _log.error("The prompt file cannot be read; the built-in prompts are taken", error=type(error).__name__)
    return built_in_templates()
