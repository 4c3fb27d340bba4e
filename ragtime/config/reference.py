"""What is generated from the settings model: the page of the documentation, a JSON Schema, an example dotenv file.

Defaults are those of the model, never those of an instance, so that nothing of the machine they are generated on shows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr

from ragtime.config.settings import Settings
from ragtime.config.sources import environment_name, field_names, section_models

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["settings_env_example", "settings_markdown", "settings_schema"]


def settings_schema() -> str:
    """Return the JSON Schema of ``ragtime.toml`` (draft 2020-12), for editors that complete and check it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}
    schema["additionalProperties"] = False
    schema["title"], schema["description"] = "ragtime.toml", "Settings of ragtime."
    return json.dumps(schema, indent=2) + "\n"


def settings_env_example() -> str:
    """Return a dotenv file that names every variable with its default, commented out."""
    lines = [
        "# Settings of ragtime with their defaults. Remove the # in front of what you change.",
        "# The file is read when RAGTIME_ENV_FILE names it.",
    ]
    section = None
    for name in field_names(Settings):
        if name.rpartition(".")[0] != section:
            section = name.rpartition(".")[0]
            model = section_models(Settings).get(section)
            lines += ["", f"# --- {section}: {(model.__doc__ or '').strip()}" if model else "# --- top level"]
        info = _field(Settings, name)
        meant = f"{info.description}{_choices(info)}".replace("`", "")
        lines += ["", f"# {meant}", f"# {environment_name(name)}={_plain(info.get_default())}"]
    return "\n".join(lines) + "\n"


def settings_markdown() -> str:
    """Return the page that lists every setting with its variable, default and meaning."""
    top = [name for name in field_names(Settings) if "." not in name]
    lines = [
        "# Settings, one by one",
        "",
        "This page is generated from the model; `make generate` writes it anew.",
        "",
        *_table("Top level", "Where things rest, and the seed.", top),
    ]
    for section, model in section_models(Settings).items():
        names = [f"{section}.{name}" for name in field_names(model)]
        lines += _table(f"`{section}`", (model.__doc__ or "").strip(), names)
    return "\n".join(lines)


def _table(title: str, meaning: str, names: list[str]) -> list[str]:
    rows = ["| field | default | meaning |", "| --- | --- | --- |"]
    for name in names:
        info = _field(Settings, name)
        meant = f"{info.description}{_choices(info)}".replace("|", "\\|")
        default = _plain(info.get_default())
        rows.append(f"| `{name}`<br>`{environment_name(name)}` | {f'`{default}`' if default else 'none'} | {meant} |")
    return [f"## {title}", "", meaning, "", *rows, ""]


def _field(model: type[BaseModel], name: str) -> FieldInfo:
    section, _, inner = name.partition(".")
    return _field(section_models(model)[section], inner) if inner else model.model_fields[section]


def _choices(info: FieldInfo) -> str:
    values = _literals(info.annotation)
    return f" One of: {', '.join(f'`{value}`' for value in values)}." if values else ""


def _literals(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next((found for inner in get_args(annotation) if (found := _literals(inner))), ())


def _plain(value: object) -> str:
    if value is None or isinstance(value, SecretStr):
        return ""
    if isinstance(value, tuple):
        return json.dumps(value)  # as variables take lists
    return value.as_posix() if isinstance(value, Path) else str(value)
