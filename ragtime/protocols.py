"""The seams: what ragtime asks of models and counters.

Anything with the right methods will do; nothing has to inherit. Tests pass in small fakes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypedDict, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

__all__ = [
    "AsyncTextGenerator",
    "CancelSignal",
    "Message",
    "TextEncoder",
    "TextGenerator",
    "TextRole",
    "TokenCounter",
    "TokenUsage",
]

TextRole = Literal["query", "passage"]
"""What a text is to retrieval: what one searches with, or what one finds."""


@runtime_checkable
class TextEncoder(Protocol):
    """Turns texts into vectors."""

    @property
    def dimension(self) -> int:
        """Length of the vectors."""
        ...

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        """Embed `texts`.

        Args:
            texts: Any number of texts, none included.
            role: Whether they are queries or passages; some models prompt them differently.

        Returns:
            A float32 array of shape ``[len(texts), dimension]`` with rows of unit length, in the order of the texts.

        Raises:
            BackendError: The model failed. There is never a vector of zeros instead.
        """
        ...

    def fingerprint(self, role: TextRole) -> str:
        """Return a hash of all that the vectors of a role depend on: weights, prompt, maximum length.

        Caches and indexes are keyed by it, so that vectors of two models never mix.
        """
        ...


class Message(TypedDict):
    """One message to a language model."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class TokenUsage(TypedDict):
    """Tokens that one generation read and wrote."""

    prompt_tokens: int
    completion_tokens: int


@runtime_checkable
class TextGenerator(Protocol):
    """Writes text."""

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> str:
        """Answer `messages`.

        Args:
            messages: The conversation so far, oldest first.
            max_tokens: Longest answer, in tokens; ``None`` means the settings' own limit.
            temperature: Sampling temperature; ``None`` means the settings' own.
            seed: Makes sampling repeatable where the model can; ``None`` leaves it open.
            stop: Texts that end the answer and are no part of it.
            on_usage: Is told the tokens used, when they are known.

        Returns:
            The answer.

        Raises:
            BackendError: The model failed, or took too long.
        """
        ...

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> Iterator[str]:
        """Answer `messages` piece by piece; the pieces joined are what ``generate`` returns."""
        ...


@runtime_checkable
class AsyncTextGenerator(Protocol):
    """Writes text without blocking the event loop; its methods are the twins of :class:`TextGenerator`'s."""

    async def agenerate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> str:
        """Answer `messages`; see :meth:`TextGenerator.generate`."""
        ...

    def astream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> AsyncIterator[str]:
        """Answer `messages` piece by piece; see :meth:`TextGenerator.stream`."""
        ...


@runtime_checkable
class CancelSignal(Protocol):
    """Tells running work that it is no longer wanted; a ``threading.Event`` is one."""

    def is_set(self) -> bool:
        """Whether the work should stop."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """Counts the tokens of a text."""

    @property
    def name(self) -> str:
        """What counts, such as a tokenizer's name; counts of two names are not compared."""
        ...

    @property
    def exact(self) -> bool:
        """Whether the counts are those of a tokenizer, not an estimate."""
        ...

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`, without special tokens; 0 for the empty text."""
        ...
