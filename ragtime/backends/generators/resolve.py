"""The settings of one generator: explicit arguments before the settings passed in, before the current ones."""

from __future__ import annotations

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import ConfigurationError, InvalidArgumentError

__all__ = ["resolve_settings"]


def resolve_settings(settings: Settings | None, **changes: str | None) -> Settings:
    """Return the settings that a generator works with.

    Args:
        settings: The settings passed in; ``None`` means the current ones.
        **changes: Fields of the section ``llm`` that the constructor was given; ``None`` leaves the settings' own.

    Returns:
        The settings, validated.

    Raises:
        InvalidArgumentError: A constructor's argument has a wrong value.
    """
    settings = get_settings() if settings is None else settings
    given = {f"llm__{name}": value for name, value in changes.items() if value is not None}
    message = ""
    try:
        return settings.replace(**given) if given else settings
    except ConfigurationError as error:
        message = str(error)
    raise InvalidArgumentError(message)  # out here: the arguments may hold a key, and a chain of errors keeps them
