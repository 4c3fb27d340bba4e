"""Deprecated: the old module ``prompts``, which read one file of prompts; ``PromptManager`` takes its place.

Prompts are files of their own now, see ``ragtime.utils.templates.PromptManager``, which this module also exports. This
module goes in ragtime 2.0.0; ``ragtime migrate`` rewrites its users.

Every call reads the file anew. It may be of either shape of the old system; in the newer one, where a style is kept in
parts, its text is the one that ``template_manager_compat`` composes for a first question, not filled yet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragtime.errors import StorageError
from ragtime.migration.deprecation import deprecated_function
from ragtime.monitoring.logging import get_logger
from ragtime.utils.files import write_json
from ragtime.utils.templates import PromptManager
from ragtime_compat.prompt_files import STANDARD, first_text, name_of, read_prompt_file, templates_path, whole_texts
from ragtime_compat.prompt_texts import DEFAULT_TEMPLATES

__all__ = ["DEFAULT_TEMPLATES", "PromptManager", "get_template", "get_templates_file", "load_templates"]

_log = get_logger(f"ragtime.{__name__}")


@deprecated_function("prompts")
def get_templates_file() -> str:
    """Return the path of the file: ``PROMPT_TEMPLATES_PATH``, read now, or ``./prompt_templates.json``."""
    return templates_path()


@deprecated_function("prompts")
def load_templates() -> dict[str, Any]:
    """Read the file; one that is not there is made, with ``DEFAULT_TEMPLATES`` in it.

    A file made so is flat, so that ``template_manager_compat.TemplateManager`` takes it for one of the older shape, as
    the old system did.

    Returns:
        What the file holds, in whichever shape; the caller's own copy of ``DEFAULT_TEMPLATES`` when it could not be
        read, and is then left alone, or was just made, or could not be, as in a folder that is not there.
    """
    return _load()


@deprecated_function("prompts")
def get_template(template_name: str = "standard") -> str:
    """Return a prompt with ``{context}`` and ``{question}`` in it.

    Args:
        template_name: Its name.

    Returns:
        The text that the file has under that name; else the file's ``standard``, else the built-in one.
    """
    return first_text(whole_texts(_load()), DEFAULT_TEMPLATES, name_of(template_name), STANDARD)


def _load() -> dict[str, Any]:
    path = templates_path()
    try:
        return read_prompt_file(path)
    except FileNotFoundError:
        _make(path)
    except (OSError, ValueError) as error:
        _log.error("The prompt file cannot be read; the built-in prompts are taken", error=type(error).__name__)
    return dict(DEFAULT_TEMPLATES)


def _make(path: str) -> None:
    if not Path(path).parent.is_dir():  # the folder may be a typing error, and reading is no reason to make one
        _log.warning("There is no folder for the prompt file; the built-in prompts are taken")
        return
    try:
        write_json(path, dict(DEFAULT_TEMPLATES))
    except (StorageError, OSError) as error:
        _log.error("The prompt file cannot be made; the built-in prompts are taken", error=type(error).__name__)
    else:
        _log.info("The prompt file was made with the built-in prompts", file=Path(path).name)
