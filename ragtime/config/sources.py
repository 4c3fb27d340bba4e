"""Where settings come from: arguments, environment, a dotenv file, configuration files.

Each source is read into a ``Layer``: a nested dict of the values as they were given, that can tell the place of
each. Reading checks names; the values themselves are judged once, when the merged result is validated.
"""

from __future__ import annotations

import copy
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings, EnvSettingsSource

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

T = TypeVar("T")
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


def nest(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"embedding__batch_size": 8}`` into ``{"embedding": {"batch_size": 8}}``; the rest stays as it is."""
    sections = section_models(model)
    nested: dict[str, Any] = {}
    for key, value in values.items():
        section, _, inner = key.partition(DELIMITER)
        given = copy.deepcopy(value)  # what the caller does with it later is no longer ours
        if key in sections and isinstance(given, sections[key]):  # a finished section is taken whole
            given = {name: getattr(given, name) for name in type(given).model_fields}
        nested = merge(nested, {section: {inner: given}} if section and inner else {key: given})
    return nested


def is_secret(model: type[BaseModel], name: str) -> bool:
    """Tell whether the field of a dotted name holds a secret."""
    section, _, inner = name.partition(".")
    if inner:
        return is_secret(section_models(model)[section], inner)
    return _mentions_secret(model.model_fields[name].annotation)


def _mentions_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_mentions_secret(inner) for inner in get_args(annotation))


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
        elif name in sections and not isinstance(value, Mapping):
            shape = "must be a table" if layer.kind == "file" else "must be a section, or a mapping of its fields"
            yield SettingProblem(name, layer.describe(name), shape)
        elif name in sections:
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
    asked = env_file or control_variable(ENV_FILE)
    if asked:
        path = _expanded(asked)
        variables = _or_raise(_parse_dotenv(path))
        if any(name.upper() == CONFIG_FILE for name in variables):
            library_logger(__name__).warning(
                "%s in dotenv file %s is ignored; set it in the environment", CONFIG_FILE, path
            )
        layers.append(_variables_layer(model, "dotenv", f"dotenv file {path}, variable", variables))
    layers.extend(_file_layers())
    return [layer for layer in layers if layer.values]


def control_variable(name: str) -> str | None:
    """Return an environment variable of ours that is no setting, written in capitals or not."""
    return os.environ.get(name) or os.environ.get(name.lower())


def _variables_layer(
    model: type[BaseSettings], kind: SourceKind, label: str, variables: Mapping[str, str | None]
) -> Layer:
    """Read the variables that ragtime knows, and warn of others with its prefix: they may be somebody else's."""
    sections = {environment_name(name): name for name in section_models(model)}
    known = {*map(environment_name, field_names(model)), *sections}
    written = {name.upper(): name for name, value in variables.items() if name.upper().startswith(PREFIX) and value}
    for upper, name in written.items():
        if upper not in known and upper not in {CONFIG_FILE, ENV_FILE}:
            near = did_you_mean(upper, {*known, CONFIG_FILE, ENV_FILE})
            library_logger(__name__).warning("Unknown %s %s is ignored%s", label, name, near)

    def describe(name: str) -> str:
        single, whole = environment_name(name), environment_name(name.partition(".")[0])
        if single in written or whole in written:
            return f"{label} {written.get(single) or written[whole]}"
        inside = [given for upper, given in written.items() if upper.startswith(single + DELIMITER)]
        return f"{label} {', '.join(inside) or single}"

    broken = [
        name for upper, name in sections.items() if upper in written and not _is_object(variables[written[upper]])
    ]
    if broken:
        message = "must be a JSON object; or set its fields one by one"
        problems = [SettingProblem(name, describe(name), message) for name in broken]
        raise ConfigurationError.from_problems(problems)
    source = EnvSettingsSource(model)
    source.env_vars = {upper.lower(): variables[name] for upper, name in written.items() if upper in known}
    return Layer(kind, source(), describe)


def _file_layers() -> Iterator[Layer]:
    named = control_variable(CONFIG_FILE)
    if named:
        candidates = [_expanded(named)]
    else:
        try:
            candidates = [path for name in ("ragtime.toml", "pyproject.toml") if (path := Path.cwd() / name).is_file()]
        except OSError as error:
            told = f"cannot be read: {error.strerror}; change to a folder that is there"
            raise _unreadable("the working directory", told) from None
    for path in candidates:
        table: Any = _or_raise(_parse_toml(path, f"{path}, named by {CONFIG_FILE}" if named else str(path)))
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


# What is read may hold keys. The parsers below return a problem instead of raising one, so that neither an error nor a
# frame of its traceback holds the text.


def _or_raise(parsed: T | SettingProblem) -> T:
    if isinstance(parsed, SettingProblem):
        raise ConfigurationError.from_problems([parsed])
    return parsed


def _parse_toml(path: Path, label: str) -> dict[str, Any] | SettingProblem:
    text = _read_text(path, label)
    if isinstance(text, SettingProblem):
        return text
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        position = re.search(r"\(at [^()]*\)$", str(error))  # the rest of its text may quote the file
        return SettingProblem("", label, f"is not valid TOML {position[0] if position else ''}".rstrip())
    except (ValueError, RecursionError):
        return SettingProblem("", label, "holds a number that is too long, or is nested too deeply")


def _parse_dotenv(path: Path) -> dict[str, str | None] | SettingProblem:
    label = f"dotenv file {path}"
    text = _read_text(path, label)
    if isinstance(text, SettingProblem):
        return text
    wrong = next((binding.original.line for binding in parse_stream(StringIO(text)) if binding.error), None)
    if wrong is not None:
        return SettingProblem("", label, f"line {wrong} is no assignment; write NAME=value")
    return dotenv_values(stream=StringIO(text), interpolate=False)  # a key may hold a dollar sign


def _read_text(path: Path, label: str) -> str | SettingProblem:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return SettingProblem("", label, "is not UTF-8")
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        return SettingProblem("", label, f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _unreadable(label: str, message: str) -> ConfigurationError:
    return ConfigurationError.from_problems([SettingProblem("", label, message)])


def _expanded(name: str | os.PathLike[str]) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise _unreadable(str(name), f"cannot be found: {error}") from None


def _is_object(text: str | None) -> bool:
    try:
        return isinstance(json.loads(text or ""), dict)
    except (ValueError, RecursionError):
        return False
