"""The settings: one frozen object that drives everything.

    >>> from ragtime.config.settings import Settings
    >>> settings = Settings.isolated(embedding__batch_size=8)
    >>> settings.embedding.batch_size
    8
    >>> print(settings.explain("embedding.batch_size"))
    embedding.batch_size = 8 (argument), over 32 (default)

A value comes from the first of these that has one: an argument, the environment (``RAGTIME_EMBEDDING__BATCH_SIZE``), a
dotenv file that was asked for, ``ragtime.toml``, ``[tool.ragtime]`` in ``pyproject.toml``, the default. Nothing is read
at import.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ragtime.config.problems import default_of, explain_problems, show
from ragtime.config.sections import (
    ConPortSettings,
    ConversationSettings,
    EmbeddingSettings,
    FineTuningSettings,
    LearningSettings,
    LLMSettings,
    LoggingSettings,
    TemplateSettings,
    TrainingDataSettings,
)
from ragtime.config.sources import (
    DELIMITER,
    PREFIX,
    Layer,
    SourceKind,
    field_names,
    is_secret,
    merge,
    nest,
    read_layers,
    seal,
    unknown_names,
)
from ragtime.errors import ConfigurationError, InvalidArgumentError, did_you_mean

__all__ = ["Explanation", "Settings", "get_settings", "override_settings", "reload_settings"]

_HIDDEN = SecretStr("-")  # stands for a beaten secret, whatever it was


@dataclass(frozen=True)
class Explanation:
    """Where the value of one field comes from.

    Attributes:
        name: The dotted name of the field.
        value: The effective value; a secret is a ``SecretStr``.
        kind: The kind of source that won.
        source: Its place, such as ``environment variable RAGTIME_SEED``, for people to find it.
        beaten: Value and place of each weaker source that has one too, strongest first, the default last.
    """

    name: str
    value: object
    kind: SourceKind
    source: str
    beaten: tuple[tuple[object, str], ...] = ()

    def __str__(self) -> str:
        told = f"{self.name} = {show(self.value)} ({self.source})"
        return "".join([told, *(f", over {show(value)} ({source})" for value, source in self.beaten)])


class Settings(BaseSettings):
    """All settings of ragtime, read from every source when constructed.

    Arguments are fields, ``Settings(seed=7)``, whole or partial sections, ``Settings(embedding={"batch_size": 8})``, or
    fields of sections by their double-underscore name, ``Settings(embedding__batch_size=8)``. The object is frozen;
    ``replace`` makes a changed copy.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
        case_sensitive=False,
        frozen=True,
        extra="ignore",  # unknown names are found while reading, where their source is known
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    data_dir: Path = Field(
        default=Path(".ragtime"),
        description="Folder of everything that ragtime keeps; a relative one is resolved at each use.",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(default=42, description="Seed of every random choice.")
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings, description="Vectors.")
    llm: LLMSettings = Field(default_factory=LLMSettings, description="Text generation.")
    conversation: ConversationSettings = Field(default_factory=ConversationSettings, description="Memory.")
    templates: TemplateSettings = Field(default_factory=TemplateSettings, description="Prompts and pages.")
    training_data: TrainingDataSettings = Field(default_factory=TrainingDataSettings, description="Training examples.")
    finetuning: FineTuningSettings = Field(default_factory=FineTuningSettings, description="Training runs.")
    learning: LearningSettings = Field(default_factory=LearningSettings, description="The learning loop.")
    conport: ConPortSettings = Field(default_factory=ConPortSettings, description="Decision log.")
    logging: LoggingSettings = Field(default_factory=LoggingSettings, description="Logs and progress.")

    _layers: tuple[Layer, ...] = PrivateAttr(default=())

    def __init__(self, *, _env_file: str | os.PathLike[str] | None = None, **values: Any) -> None:
        """Read all sources.

        Args:
            _env_file: A dotenv file to read, too; ``None`` means the one that ``RAGTIME_ENV_FILE`` names, if any.
            **values: Fields, sections, or fields of sections.

        Raises:
            ConfigurationError: Names every wrong value with its source and what is allowed, and every unknown name.
        """
        self._assemble([_argument_layer(type(self), "argument", values), *read_layers(type(self), env_file=_env_file)])

    def _assemble(self, layers: Sequence[Layer]) -> None:
        """Validate the merged `layers`, strongest first, and keep them for ``explain``."""
        layers = [seal(type(self), layer) for layer in layers]
        problems = [problem for layer in layers for problem in unknown_names(type(self), layer)]
        merged: dict[str, Any] = {}
        for layer in reversed(layers):
            merged = merge(merged, layer.values)
        try:
            super().__init__(**{name: value for name, value in merged.items() if name in type(self).model_fields})
        except ValidationError as error:
            problems += explain_problems(error, type(self), layers)
        if problems:
            # Raised out here: a chained ValidationError would carry the values themselves.
            raise ConfigurationError.from_problems(problems)
        self._layers = tuple(layers)

    @classmethod
    def settings_customise_sources(  # noqa: D102
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # Only the merged values are left: the sources were read one by one, so that the place of each value is known.
        return (init_settings,)

    @classmethod
    def isolated(cls, **values: Any) -> Self:
        """Construct settings from arguments and defaults alone: no environment, no file.

        Args:
            **values: As for the constructor.

        Returns:
            The settings.

        Raises:
            ConfigurationError: As the constructor.
        """
        return cls._from_layers([_argument_layer(cls, "argument", values)])

    def replace(self, **changes: Any) -> Self:
        """Make a changed copy.

        Args:
            **changes: New values, given like the constructor's arguments.

        Returns:
            The copy; everything else in it and where it came from stays.

        Raises:
            ConfigurationError: As the constructor.
        """
        return self._from_layers([_argument_layer(type(self), "override", changes), *self._layers])

    @classmethod
    def _from_layers(cls, layers: Sequence[Layer]) -> Self:
        settings = cls.__new__(cls)
        settings._assemble(layers)  # noqa: SLF001 - our own, not yet initialised
        return settings

    def data_path(self, *parts: str) -> Path:
        """Find something in the data folder.

        Args:
            *parts: Its place there.

        Returns:
            The absolute path, whether or not there is something; a relative `data_dir` is below the working directory.

        Raises:
            ConfigurationError: There is no working directory, or no home for a ``~``.
        """
        try:
            return Path.cwd().joinpath(self.data_dir.expanduser(), *parts)
        except (OSError, RuntimeError) as error:
            raise ConfigurationError(f"data_dir = {show(self.data_dir)} cannot be found: {error}") from None

    def explain(self, name: str) -> Explanation:
        """Tell where the value of a field comes from.

        Args:
            name: The dotted name, such as ``embedding.model_name``.

        Returns:
            The value, where it comes from, and what it beat.

        Raises:
            InvalidArgumentError: There is no such field.
        """
        names = list(field_names(type(self)))
        if name not in names:
            inner = [known for known in names if known.startswith(f"{name}.")]
            hint = f"; its fields are {', '.join(inner)}" if inner else did_you_mean(name, names)
            raise InvalidArgumentError(f"There is no field {name!r} in the settings{hint}")
        value, default = _value_of(self, name), default_of(type(self), name)
        found = [(given, layer) for layer in self._layers for given in layer.find(name)]
        if not found:
            return Explanation(name, value, "default", "default")
        secret = is_secret(type(self), name)
        beaten = [(_HIDDEN if secret else given, layer.describe(name)) for given, layer in found[1:]]
        winner = found[0][1]
        return Explanation(name, value, winner.kind, winner.describe(name), (*beaten, (default, "default")))

    def explain_all(self) -> list[Explanation]:
        """Explain every field, in the order of their definition."""
        return [self.explain(name) for name in field_names(type(self))]

    @classmethod
    def model_validate(cls, obj: Any, **_: Any) -> Self:
        """Construct from a mapping, as the constructor does; what is settings already is returned as it is."""
        return obj if isinstance(obj, cls) else cls(**obj)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **_: Any) -> Self:
        """Construct from a JSON object, as the constructor does."""
        try:
            values = json.loads(json_data)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise ConfigurationError("Settings are made from a JSON object; found something else")
        return cls(**values)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):  # pydantic's own error would quote the value
            hint = f"settings.replace({name}=...)" if name in type(self).model_fields else "settings.replace(...)"
            raise ConfigurationError(f"Settings are frozen; make a changed copy with {hint}")
        super().__setattr__(name, value)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; unlike pydantic's own, `update` is validated, as in ``replace``."""
        return self.replace(**update) if update else super().model_copy(deep=deep)

    def __eq__(self, other: object) -> bool:
        # Equal values are equal settings, whatever source they came from.
        return self.__dict__ == other.__dict__ if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.__dict__.values()))

    def __reduce__(self) -> tuple[Any, ...]:
        # Layers hold functions, which cannot travel to another process; there the values count as arguments.
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return _unpickle, (type(self), values)


_read_lock = threading.RLock()
_cached: list[Settings] = []
_override: ContextVar[Settings | None] = ContextVar("ragtime_settings_override", default=None)


def get_settings() -> Settings:
    """Return the current settings.

    Returns:
        The settings of the innermost override, else those read from all sources at the first call.

    Raises:
        ConfigurationError: A source holds a wrong value; the next call reads again.
    """
    overridden = _override.get()
    if overridden is not None:
        return overridden
    with _read_lock:
        if not _cached:
            _cached.append(Settings())
        return _cached[0]


def reload_settings() -> Settings:
    """Read all sources again, for ``get_settings`` from now on.

    Overrides that are in force stay in force; objects that already exist keep the settings they were made with.

    Returns:
        The new settings.

    Raises:
        ConfigurationError: A source holds a wrong value; the former settings stay.
    """
    fresh = Settings()
    with _read_lock:
        _cached[:] = [fresh]
    return fresh


@contextmanager
def override_settings(settings: Settings | None = None, /, **changes: Any) -> Iterator[Settings]:
    """Let ``get_settings`` return other settings inside a ``with`` block.

    Overrides nest. One is seen by the code in the block, by asyncio tasks created there and by ragtime's own worker
    threads; other threads and tasks do not see it.

    Args:
        settings: The settings to use; ``None`` means the current ones.
        **changes: Changes to them, given like the arguments of ``Settings``.

    Yields:
        The settings now in force.

    Raises:
        ConfigurationError: A change has a wrong value or an unknown name.
    """
    base = get_settings() if settings is None else settings
    if not isinstance(base, Settings):
        raise InvalidArgumentError(f"override_settings takes Settings or keyword changes, found {type(base).__name__}")
    token = _override.set(base.replace(**changes) if changes else base)
    try:
        yield get_settings()
    finally:
        with suppress(ValueError):  # ended elsewhere than begun, as when a generator is closed by another task
            _override.reset(token)


def _unpickle(cls: type[Settings], values: dict[str, Any]) -> Settings:
    return cls.isolated(**values)


def _argument_layer(model: type[BaseModel], kind: SourceKind, values: Mapping[str, Any]) -> Layer:
    return Layer(kind, nest(model, values), lambda _: kind)


def _value_of(model: BaseModel, name: str) -> object:
    value: object = model
    for part in name.split("."):
        value = getattr(value, part)
    return value
