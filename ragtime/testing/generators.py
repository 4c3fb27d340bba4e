"""A text generator that says what it was told to say."""

from __future__ import annotations

import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ragtime.backends.generators.stopping import StopCutter
from ragtime.errors import BackendError
from ragtime.protocols import Message, TokenUsage
from ragtime.utils.tokens import EstimatedTokenCounter

__all__ = ["ScriptedCall", "ScriptedGenerator"]

_Answer: TypeAlias = str | BaseException
_PIECES = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class ScriptedCall:
    """What a :class:`ScriptedGenerator` was asked.

    Attributes:
        messages: The messages.
        max_tokens: As given; ``None`` where the caller left it open, as in all that follows.
        temperature: As given.
        seed: As given.
        stop: As given.
    """

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


class ScriptedGenerator:
    """Answers from a list or a function; a ``TextGenerator`` and an ``AsyncTextGenerator`` for tests.

        >>> generator = ScriptedGenerator(["Five seconds.", BackendError("the model is gone")])
        >>> generator.generate([{"role": "user", "content": "How long?"}])
        'Five seconds.'
        >>> generator.calls[0].messages[0]["content"]
        'How long?'

    Streams come word by word. Token usage is an estimate of the texts. Stop texts cut the answer; the other options are
    only recorded. Safe to use from several threads.

    Attributes:
        calls: Every call, in the order in which they came.
    """

    def __init__(self, answers: Sequence[_Answer] | Callable[[ScriptedCall], _Answer]) -> None:
        """Prepare the answers.

        Args:
            answers: The answers in order, or a function that gives one for a call. An exception is raised instead of
                returned. A list that is used up ends in a ``BackendError``.
        """
        self._answers = answers
        self._lock = threading.Lock()
        self.calls: list[ScriptedCall] = []

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
        """Return the next answer; see :meth:`ragtime.protocols.TextGenerator.generate`."""
        call = ScriptedCall(tuple(messages), max_tokens, temperature, seed, tuple(stop))
        answer = self._answer(call)
        if on_usage is not None:
            count = EstimatedTokenCounter().count
            read = sum(count(message["content"]) for message in messages)
            on_usage(TokenUsage(prompt_tokens=read, completion_tokens=count(answer)))
        return answer

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
        """Yield the next answer word by word; see :meth:`ragtime.protocols.TextGenerator.stream`."""
        text = self.generate(
            messages, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop, on_usage=on_usage
        )
        yield from _PIECES.findall(text)

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
        """Return the next answer; see :meth:`ragtime.protocols.AsyncTextGenerator.agenerate`."""
        return self.generate(
            messages, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop, on_usage=on_usage
        )

    async def astream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
    ) -> AsyncIterator[str]:
        """Yield the next answer word by word; see :meth:`ragtime.protocols.AsyncTextGenerator.astream`."""
        for piece in self.stream(
            messages, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop, on_usage=on_usage
        ):
            yield piece

    def _answer(self, call: ScriptedCall) -> str:
        with self._lock:
            number = len(self.calls)
            self.calls.append(call)
        if callable(self._answers):
            answer = self._answers(call)
        elif number < len(self._answers):
            answer = self._answers[number]
        else:
            raise BackendError(
                f"ScriptedGenerator has {len(self._answers)} answers and this is call {number + 1}; give it more"
            )
        if isinstance(answer, BaseException):
            raise answer
        return StopCutter(call.stop).feed(answer) if _holds(answer, call.stop) else answer


def _holds(answer: str, stop: tuple[str, ...]) -> bool:
    return any(text in answer for text in stop)
