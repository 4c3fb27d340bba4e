"""What a generator is told, is asked and gives back: checked before any work starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args, get_type_hints

from ragtime.config.settings import Settings, get_settings
from ragtime.errors import ConfigurationError, InvalidArgumentError, did_you_mean
from ragtime.monitoring.logging import get_logger
from ragtime.protocols import Message, TokenUsage

if TYPE_CHECKING:
    from ragtime.config.sections import LLMSettings

__all__ = ["GenerationOutcome", "GenerationRequest", "make_request", "resolve_settings"]

log = get_logger(__name__)

_ROLES: tuple[str, ...] = get_args(get_type_hints(Message)["role"])
_MAX_TEMPERATURE = 2.0
_MAX_SEED = 2**63  # what a server's and torch's seeds hold


@dataclass(frozen=True)
class GenerationRequest:
    """One question to a model, with every choice made.

    Attributes:
        messages: The conversation so far, oldest first; without lone surrogates.
        max_tokens: Longest answer, in tokens.
        temperature: Sampling temperature, 0 to 2; 0 takes the likeliest token each time.
        seed: Seed of the sampling; ``None`` leaves it open.
        stop: Texts that end the answer and are no part of it.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class GenerationOutcome:
    """What one generation ended with.

    Attributes:
        text: The whole answer.
        usage: Tokens read and written; ``None`` where the server does not say.
        finish_reason: Why the answer ended: ``stop``, ``length``, or a server's own word; empty when it does not say.
        retries: Further tries that it took.
    """

    text: str
    usage: TokenUsage | None = None
    finish_reason: str = ""
    retries: int = 0


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


def make_request(
    defaults: LLMSettings,
    messages: Sequence[Message],
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
    stop: Sequence[str] = (),
) -> GenerationRequest:
    """Check the arguments of a generation and fill in what they leave open.

    Args:
        defaults: Gives the limit of tokens and the temperature.
        messages: The conversation so far. A lone surrogate, which no tokenizer and no JSON can carry, becomes U+FFFD.
        max_tokens: Longest answer, in tokens; ``None`` means the settings' own limit.
        temperature: Sampling temperature, 0 to 2; ``None`` means the settings' own.
        seed: Seed of the sampling, 0 to 2**63 - 1; ``None`` leaves it open.
        stop: Texts that end the answer.

    Returns:
        The request.

    Raises:
        InvalidArgumentError: An argument has a wrong type or value.
    """
    max_tokens = defaults.max_tokens if max_tokens is None else max_tokens
    temperature = defaults.temperature if temperature is None else temperature
    if not _is_integer(max_tokens) or max_tokens < 1:
        raise InvalidArgumentError(f"max_tokens must be a whole number of at least 1, found {max_tokens!r}")
    if not _is_number(temperature) or not 0 <= temperature <= _MAX_TEMPERATURE:
        raise InvalidArgumentError(f"temperature must be a number from 0 to 2, found {temperature!r}")
    if seed is not None and (not _is_integer(seed) or not 0 <= seed < _MAX_SEED):
        raise InvalidArgumentError(f"seed must be a whole number from 0 to 2**63 - 1, or None; found {seed!r}")
    return GenerationRequest(_check_messages(messages), max_tokens, float(temperature), seed, _check_stop(stop))


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_stop(stop: object) -> tuple[str, ...]:
    if isinstance(stop, str | bytes) or not isinstance(stop, Sequence):
        raise InvalidArgumentError(f"stop must be a list of texts, found {type(stop).__name__}; write stop=[text]")
    for text in stop:
        if not isinstance(text, str) or not text:
            raise InvalidArgumentError("Every text in stop must be a text of at least one character")
    return tuple(dict.fromkeys(stop))


def _check_messages(messages: object) -> tuple[Message, ...]:
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise InvalidArgumentError(
            f"messages must be a list of messages, found {type(messages).__name__}; "
            'write [{"role": "user", "content": text}]'
        )
    checked = tuple(_check_message(index, message) for index, message in enumerate(messages))
    if not any(message["content"].strip() for message in checked):
        raise InvalidArgumentError(f"messages must hold some text, found {len(checked)} messages without any")
    return checked


def _check_message(index: int, message: object) -> Message:
    if not isinstance(message, Mapping):
        raise InvalidArgumentError(f"Message {index} must be a mapping, found {type(message).__name__}")
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        # A role is short; anything longer may be a text in the wrong place, which no error may quote.
        found = repr(role) if isinstance(role, str) and len(role) <= max(map(len, _ROLES)) + 3 else type(role).__name__
        hint = did_you_mean(role, _ROLES) if isinstance(role, str) else ""
        raise InvalidArgumentError(f"Message {index} must have a role of {', '.join(_ROLES)}; found {found}{hint}")
    if not isinstance(content, str):
        raise InvalidArgumentError(f"Message {index} must have a text as content, found {type(content).__name__}")
    return Message(role=role, content=_without_surrogates(content))


def _without_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        log.warning("Lone surrogates in a message replaced by U+FFFD")
        # The standard library's own repair: halves that belong together become one character, others U+FFFD.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
