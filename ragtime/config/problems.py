"""What is wrong with settings, told with its source and without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, SecretStr, ValidationError

from ragtime.config.sources import Layer, field_names, is_secret, section_models
from ragtime.errors import SettingProblem

__all__ = ["MASK", "default_of", "explain_problems", "show"]

MASK = "**********"
_LIKE_A_SECRET = re.compile(r"(?i)@|\b[a-z]{2,6}[-_](?=\S*\d)\S{8,}|key|token|secret|passw|bearer|eyJ")
_SHOWN_CHARACTERS = 60


def default_of(model: type[BaseModel], name: str) -> object:
    """Return the default of the field of a dotted name."""
    section, _, inner = name.partition(".")
    return default_of(section_models(model)[section], inner) if inner else model.model_fields[name].get_default()


def show(value: object) -> str:
    """Write a value as errors and explanations do; a secret is masked."""
    if isinstance(value, SecretStr):
        return MASK
    return repr(str(value)) if isinstance(value, Path) else repr(value)


def explain_problems(
    error: ValidationError, model: type[BaseModel], layers: Sequence[Layer]
) -> Iterator[SettingProblem]:
    """Translate pydantic's errors: each gets its source, and the value found unless it could be or hold a secret."""
    names, sections = set(field_names(model)), section_models(model)
    for detail in error.errors(include_url=False, include_context=False):
        name = ".".join(str(part) for part in detail["loc"])
        while name and name not in names and name not in sections:
            name = name.rpartition(".")[0]  # inside a field's value, where a source cannot be told
        if detail["type"] == "extra_forbidden" or (name in sections and detail["type"] == "model_type"):
            continue  # told already, with the nearest name or the right shape
        message = detail["msg"].removeprefix("Value error, ")
        if name in sections:  # a rule about several fields: each of them has a source of its own
            fields = [f"{name}.{field}" for field in sections[name].model_fields if field in message]
            told = [f"{field} = {_shown(model, field, _given(field, model, layers))}" for field in fields]
            yield SettingProblem(name, "; ".join(_sources(fields, layers)), f"{message}; found {', '.join(told)}")
        else:
            found = _shown(model, name, detail["input"]) if name in names else ""
            yield SettingProblem(name, _sources([name], layers)[0], f"{message}; found {found}" if found else message)


def _sources(names: Sequence[str], layers: Sequence[Layer]) -> list[str]:
    places = (next((layer.describe(name) for layer in layers if layer.find(name)), "default") for name in names)
    return list(dict.fromkeys(places))


def _given(name: str, model: type[BaseModel], layers: Sequence[Layer]) -> object:
    return next((value for layer in layers for value in layer.find(name)), default_of(model, name))


def _shown(model: type[BaseModel], name: str, value: object) -> str:
    """Show a wrong value, shortened; nothing for one that could be a secret, or hold one."""
    plain = isinstance(value, str | int | float | Path) and not is_secret(model, name) and not name.endswith("url")
    return _shorten(value) if plain and not _LIKE_A_SECRET.search(str(value)) else ""


def _shorten(value: object, limit: int = _SHOWN_CHARACTERS) -> str:
    shown = show(value)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
