"""What all generators share: checked arguments, four ways to ask, one log event a call, usage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, closing
from typing import TYPE_CHECKING, ClassVar

from ragtime.backends.generators.request import GenerationOutcome, GenerationRequest, make_request
from ragtime.backends.servers.bridge import Emit, aiterate, iterate, supervise
from ragtime.errors import BackendError, ConfigurationError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import Operation, log_operation

if TYPE_CHECKING:
    from ragtime.config.sections import LLMSettings
    from ragtime.protocols import CancelSignal, Message, TokenUsage

__all__ = ["BaseGenerator"]

log = get_logger(__name__)


class BaseGenerator(ABC):
    """Base of the generators; a :class:`ragtime.protocols.TextGenerator` and its asynchronous twin.

    A backend implements :meth:`_run` and says who it is; time limits, cancellation, streaming, logging and token usage
    are here. A generator may be used by many threads and event loops at a time.

    Attributes:
        llm: The settings in force: those of the section, and what the constructor's arguments changed.
        model_name: Name of the model.
    """

    provider: ClassVar[str]

    def __init__(self, llm: LLMSettings) -> None:
        """Keep the settings, which must name a model."""
        if llm.model_name is None:
            raise ConfigurationError(
                "No model is named; set llm.model_name (RAGTIME_LLM__MODEL_NAME) or pass model_name"
            )
        self.llm = llm
        self.model_name: str = llm.model_name

    @property
    @abstractmethod
    def _who(self) -> str:
        """The model and where it runs, for error messages."""

    @abstractmethod
    async def _run(self, request: GenerationRequest, emit: Emit, *, streamed: bool) -> GenerationOutcome:
        """Answer a request; with `streamed`, call `emit` with each piece as soon as it is certain.

        It runs in an event loop, never blocks it, and ends promptly when cancelled. The time limit is not its concern.
        """

    def _job(
        self,
        messages: Sequence[Message],
        max_tokens: int | None,
        temperature: float | None,
        seed: int | None,
        stop: Sequence[str],
        cancel: CancelSignal | None,
    ) -> _Job:
        request = make_request(self.llm, messages, max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop)
        return _Job(self, request, cancel)

    def generate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
        cancel: CancelSignal | None = None,
    ) -> str:
        """Answer `messages`.

        Args:
            messages: The conversation so far, oldest first.
            max_tokens: Longest answer, in tokens; ``None`` means ``llm.max_tokens`` of the settings.
            temperature: Sampling temperature, 0 to 2; ``None`` means ``llm.temperature`` of the settings.
            seed: Makes sampling repeatable where the model can; ``None`` leaves it open.
            stop: Texts that end the answer and are no part of it.
            on_usage: Is told the tokens used, when they are known.
            cancel: Stops the work when set, such as a ``threading.Event``; ``None`` means that nothing does.

        Returns:
            The answer, never blank.

        Raises:
            InvalidArgumentError: An argument has a wrong type or value; nothing was sent.
            BackendTimeoutError: There was no whole answer within ``llm.timeout_seconds``, all retries included.
            BackendCancelledError: `cancel` was set.
            BackendError: The model failed.
        """
        job = self._job(messages, max_tokens, temperature, seed, stop, cancel)
        with job.logged("generate") as operation:
            deque(iterate(job.run_whole), maxlen=0)
            outcome = job.finish(operation)
        _tell(outcome, on_usage)
        return outcome.text

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
        cancel: CancelSignal | None = None,
    ) -> Iterator[str]:
        """Answer `messages` piece by piece; the pieces joined are the answer.

        The work starts with the first piece asked for. Closing the iterator stops it. Arguments and errors are those of
        :meth:`generate`; an error may come after some pieces, as nothing is asked again once a piece is out.
        """
        job = self._job(messages, max_tokens, temperature, seed, stop, cancel)
        return self._stream(job, on_usage)

    def _stream(self, job: _Job, on_usage: Callable[[TokenUsage], None] | None) -> Iterator[str]:
        with job.logged("stream") as operation:
            try:
                with closing(iterate(job.run_streamed)) as pieces:
                    yield from pieces
            except GeneratorExit:
                operation.add(closed=True)  # the caller has read enough, which is no failure
                return
            outcome = job.finish(operation)
        _tell(outcome, on_usage)

    async def agenerate(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
        cancel: CancelSignal | None = None,
    ) -> str:
        """Answer `messages` without blocking the event loop; cancelling the task stops it. See :meth:`generate`."""
        job = self._job(messages, max_tokens, temperature, seed, stop, cancel)
        with job.logged("agenerate") as operation:
            await job.run_whole(_ignore)
            outcome = job.finish(operation)
        _tell(outcome, on_usage)
        return outcome.text

    def astream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        stop: Sequence[str] = (),
        on_usage: Callable[[TokenUsage], None] | None = None,
        cancel: CancelSignal | None = None,
    ) -> AsyncIterator[str]:
        """Answer `messages` piece by piece without blocking the event loop; see :meth:`stream`."""
        job = self._job(messages, max_tokens, temperature, seed, stop, cancel)
        return self._astream(job, on_usage)

    async def _astream(self, job: _Job, on_usage: Callable[[TokenUsage], None] | None) -> AsyncIterator[str]:
        with job.logged("astream") as operation:
            try:
                async with aclosing(aiterate(job.run_streamed)) as pieces:
                    async for piece in pieces:
                        yield piece
            except GeneratorExit:
                operation.add(closed=True)
                return
            outcome = job.finish(operation)
        _tell(outcome, on_usage)


class _Job:
    """One call: the request on its way, and what it ended with."""

    def __init__(self, generator: BaseGenerator, request: GenerationRequest, cancel: CancelSignal | None) -> None:
        self._generator = generator
        self._request = request
        self._cancel = cancel
        self._outcome: GenerationOutcome | None = None

    async def run_whole(self, emit: Emit) -> None:
        await self._run(emit, streamed=False)

    async def run_streamed(self, emit: Emit) -> None:
        await self._run(emit, streamed=True)

    async def _run(self, emit: Emit, *, streamed: bool) -> None:
        generator = self._generator
        self._outcome = await supervise(
            generator._run(self._request, emit, streamed=streamed),  # noqa: SLF001 - the hook of our own base
            who=generator._who,  # noqa: SLF001
            limit_seconds=generator.llm.timeout_seconds,
            cancel=self._cancel,
        )

    def logged(self, name: str) -> AbstractContextManager[Operation]:
        return log_operation(log, name, provider=self._generator.provider, model=self._generator.model_name)

    def finish(self, operation: Operation) -> GenerationOutcome:
        if self._outcome is None:  # pragma: no cover - the work has returned
            raise BackendError(f"{self._generator._who}: ended without an outcome")  # noqa: SLF001
        outcome = self._outcome
        operation.add(finish_reason=outcome.finish_reason, retries=outcome.retries)
        if outcome.usage is not None:
            operation.add(**outcome.usage)
        return outcome


def _tell(outcome: GenerationOutcome, on_usage: Callable[[TokenUsage], None] | None) -> None:
    if on_usage is not None and outcome.usage is not None:
        on_usage(outcome.usage)


def _ignore(_: str) -> None:
    """Drop a piece of an answer that is returned whole."""
