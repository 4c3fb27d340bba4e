"""Where settings come from: arguments, environment, a dotenv file, configuration files.

Each source is read into a :class:`Layer`: a nested dict of the values as they were given, that can tell the place of
each. Reading checks names; the values themselves are judged once, when the merged result is validated.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Literal, get_args

from dotenv import dotenv_values
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from ragtime.config.library_logger import library_logger
from ragtime.errors import ConfigurationError, SettingProblem, did_you_mean

__all__ = [
    "CONFIG_FILE",
    "ENV_FILE",
    "Layer",
    "SourceKind",
    "environment_name",
    "field_names",
    "is_secret",
    "merge",
    "nest",
    "read_layers",
    "seal",
    "section_models",
    "unknown_names",
]

SourceKind = Literal["argument", "override", "environment", "dotenv", "file", "default"]

PREFIX = "RAGTIME_"
DELIMITER = "__"
CONFIG_FILE = "RAGTIME_CONFIG_FILE"  # names another file than ./ragtime.toml and ./pyproject.toml
ENV_FILE = "RAGTIME_ENV_FILE"  # a dotenv file is read only when it is named


@dataclass(frozen=True)
class Layer:
    """The values of one source.

    Attributes:
        kind: The kind of source.
        values: Nested values by field name, as the source gave them.
        describe: Names the place of a field's value, given the field's dotted name.
    """

    kind: SourceKind
    values: Mapping[str, Any] = field(repr=False)
    describe: Callable[[str], str] = field(repr=False)

    def find(self, name: str) -> list[Any]:
        """Return the value of a dotted name in a list, which is empty when the layer has none."""
        value: Any = self.values
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return []
            value = value[part]
        return [value]


def section_models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the fields of `model` that are sections, by name."""
    return {
        name: info.annotation
        for name, info in model.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel)
    }


def field_names(model: type[BaseModel]) -> Iterator[str]:
    """Yield the dotted names of all fields, those of the sections included, in their order of definition."""
    sections = section_models(model)
    for name in model.model_fields:
        if name in sections:
            yield from (f"{name}.{inner}" for inner in field_names(sections[name]))
        else:
            yield name


def environment_name(name: str) -> str:
    """Return the environment variable of a dotted field name."""
    return PREFIX + name.replace(".", DELIMITER).upper()


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"embedding__batch_size": 8}`` into ``{"embedding": {"batch_size": 8}}``; the rest stays as it is."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        section, _, inner = key.partition(DELIMITER)
        given = value
        if isinstance(given, BaseModel):  # a finished section: only what was set in it is an argument
            given = {name: getattr(given, name) for name in given.model_fields_set}
        nested = merge(nested, {section: {inner: given}} if section and inner else {key: given})
    return nested


def is_secret(model: type[BaseModel], name: str) -> bool:
    """Tell whether the field of a dotted name holds a secret."""
    section, _, inner = name.partition(".")
    if inner:
        return is_secret(section_models(model)[section], inner)
    annotation = model.model_fields[name].annotation
    return annotation is SecretStr or SecretStr in get_args(annotation)


def seal(model: type[BaseModel], layer: Layer) -> Layer:
    """Wrap the secrets of `layer`, so that nothing that prints it can print them."""
    values = dict(layer.values)
    for name in field_names(model):
        section, _, inner = name.partition(".")
        if is_secret(model, name) and isinstance(found := next(iter(layer.find(name)), None), str):
            values[section] = {**values[section], inner: SecretStr(found)} if inner else SecretStr(found)
    return replace(layer, values=values)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested mappings into a new dict; where both have a value, that of `over` stands."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def unknown_names(model: type[BaseModel], layer: Layer) -> Iterator[SettingProblem]:
    """Yield a problem for every name in `layer` that `model` does not have."""
    sections = section_models(model)
    for name, value in layer.values.items():
        if name not in model.model_fields:
            yield SettingProblem(name, layer.describe(name), f"no such setting{did_you_mean(name, model.model_fields)}")
        elif name in sections and isinstance(value, Mapping):
            fields = sections[name].model_fields
            for inner in value:
                if inner not in fields:
                    dotted = f"{name}.{inner}"
                    near = did_you_mean(str(inner), fields)
                    yield SettingProblem(dotted, layer.describe(dotted), f"no such setting{near}")


def read_layers(model: type[BaseSettings], *, env_file: str | os.PathLike[str] | None = None) -> list[Layer]:
    """Read every source outside the program, strongest first.

    Args:
        model: The settings class, whose fields the sources are held against.
        env_file: A dotenv file; ``None`` means the one that ``RAGTIME_ENV_FILE`` names, or no such file.

    Returns:
        The layers of the environment, the dotenv file, ``ragtime.toml`` and ``[tool.ragtime]`` of ``pyproject.toml``,
        as far as they hold something. The two files are those of the working directory; ``RAGTIME_CONFIG_FILE`` names
        one other.

    Raises:
        ConfigurationError: A source cannot be read, or a file that was asked for is not there.
    """
    layers = [_variables_layer(model, "environment", "environment variable", os.environ)]
    dotenv = env_file or os.environ.get(ENV_FILE)
    if dotenv:
        path = Path(dotenv).expanduser()
        label = f"dotenv file {path}"
        variables = dotenv_values(stream=StringIO(_read_text(path, label)))
        layers.append(_variables_layer(model, "dotenv", f"{label}, variable", variables))
    layers.extend(_file_layers())
    return [layer for layer in layers if layer.values]


def _variables_layer(
    model: type[BaseSettings], kind: SourceKind, label: str, variables: Mapping[str, str | None]
) -> Layer:
    """Read the variables that ragtime knows, and warn of others with its prefix: they may be somebody else's."""
    known = {environment_name(name) for name in (*field_names(model), *section_models(model))}
    written = {name.upper(): name for name in variables if name.upper().startswith(PREFIX)}
    for upper, name in written.items():
        if upper not in known and upper not in {CONFIG_FILE, ENV_FILE}:
            library_logger(__name__).warning("Unknown %s %s is ignored%s", label, name, did_you_mean(upper, known))

    def describe(name: str) -> str:
        single, whole = environment_name(name), environment_name(name.partition(".")[0])
        return f"{label} {written.get(single) or written.get(whole) or single}"

    source = EnvSettingsSource(model)
    source.env_vars = {
        upper.lower(): variables[name] for upper, name in written.items() if upper in known and variables[name]
    }
    try:
        return Layer(kind, source(), describe)
    except SettingsError:
        broken = [
            name
            for name in section_models(model)
            if _is_broken_json(source.env_vars.get(environment_name(name).lower()))
        ]
    # Raised out here, so that no error hangs on it that holds what was read: that may be a key.
    message = "must be a JSON object; or set its fields one by one"
    raise ConfigurationError.from_problems([SettingProblem(name, describe(name), message) for name in broken])


def _file_layers() -> Iterator[Layer]:
    named = os.environ.get(CONFIG_FILE)
    candidates = [Path(named).expanduser()] if named else [Path.cwd() / "ragtime.toml", Path.cwd() / "pyproject.toml"]
    for path in candidates:
        if not named and not path.is_file():
            continue
        table: Any = _read_toml(path, f"{path}, named by {CONFIG_FILE}" if named else str(path))
        source = str(path)
        if path.name == "pyproject.toml":
            source = f"[tool.ragtime] in {path}"
            tool = table.get("tool")
            table = tool.get("ragtime", {}) if isinstance(tool, dict) else {}
        if not isinstance(table, dict):
            raise _unreadable(source, "must be a table")
        yield Layer("file", table, partial(_place, source))


def _place(source: str, _: str) -> str:
    return source


def _read_toml(path: Path, label: str) -> dict[str, Any]:
    text = _read_text(path, label)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = re.search(r"\(at [^()]*\)$", str(error))  # the rest of its text may quote the file
    raise _unreadable(label, f"is not valid TOML {position[0] if position else ''}".rstrip())


def _read_text(path: Path, label: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        message = "is not UTF-8"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    raise _unreadable(label, message)


def _unreadable(label: str, message: str) -> ConfigurationError:
    return ConfigurationError.from_problems([SettingProblem("", label, message)])


def _is_broken_json(text: str | None) -> bool:
    if text is None:
        return False
    try:
        json.loads(text)
    except ValueError:
        return True
    return False
