"""The chat completions of the OpenAI API on the wire: the body of a request, the shapes of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragtime.protocols import TokenUsage

if TYPE_CHECKING:
    from ragtime.backends.generators.request import GenerationRequest

__all__ = ["Chunk", "Completion", "Dialect", "read_usage", "request_body"]

_MOST_STOPS = 4  # the API's limit; more are cut on this side


class Dialect:
    """What a server has been found to understand; kept between calls.

    Attributes:
        usage_in_streams: Whether it takes ``stream_options``; ``None`` while not known.
        limit_field: Its name for the longest answer.
    """

    def __init__(self) -> None:
        """Start with the API as written."""
        self.usage_in_streams: bool | None = None
        self.limit_field = "max_tokens"


def request_body(
    request: GenerationRequest, *, model: str, limit_field: str, streamed: bool, with_usage: bool
) -> dict[str, Any]:
    """Build the body of a request.

    Args:
        request: What is asked.
        model: The server's name of the model.
        limit_field: The server's name for the longest answer.
        streamed: Whether the answer comes piece by piece.
        with_usage: Whether a stream is to end with the tokens used.

    Returns:
        The JSON object.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [dict(message) for message in request.messages],
        limit_field: request.max_tokens,
        "temperature": request.temperature,
    }
    if request.seed is not None:
        body["seed"] = request.seed
    if request.stop:
        body["stop"] = list(request.stop[:_MOST_STOPS])
    if streamed:
        body["stream"] = True
        if with_usage:
            body["stream_options"] = {"include_usage": True}
    return body


class _Shape(BaseModel):
    # Errors say which field is wrong, never its value: that may be a part of the answer.
    model_config = ConfigDict(hide_input_in_errors=True, frozen=True)


class _Text(_Shape):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Shape):
    message: _Text
    finish_reason: str | None = None


class Completion(_Shape):
    """A whole answer."""

    choices: Annotated[list[_Choice], Field(min_length=1)]
    usage: Any = None


class _Piece(_Shape):
    index: int = 0
    delta: _Text | None = None
    finish_reason: str | None = None


class Chunk(_Shape):
    """A piece of a streamed answer; the one with the tokens used has no choice."""

    choices: list[_Piece] | None = None
    usage: Any = None

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return "".join(piece.delta.content or "" for piece in self._first if piece.delta is not None)

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ends here; ``None`` when it goes on."""
        return next((piece.finish_reason for piece in self._first if piece.finish_reason), None)

    @property
    def _first(self) -> list[_Piece]:
        return [piece for piece in self.choices or () if piece.index == 0]


class _Usage(_Shape):
    prompt_tokens: Annotated[int, Field(ge=0)]
    completion_tokens: Annotated[int, Field(ge=0)]


def read_usage(found: object) -> TokenUsage | None:
    """Read the tokens used; ``None`` when a server does not tell them in the API's form, which spoils no answer."""
    try:
        usage = _Usage.model_validate(found)
    except ValidationError:
        return None
    return TokenUsage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
