"""Text from any server with an OpenAI-compatible endpoint: OpenAI, Ollama, vLLM, llama.cpp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ragtime.backends.generators.base import BaseGenerator
from ragtime.backends.generators.openai_failures import Failure, explain
from ragtime.backends.generators.openai_server import HttpClientFactory, OpenAIServer
from ragtime.backends.generators.openai_wire import Chunk, Completion, Dialect, read_usage, request_body
from ragtime.backends.generators.request import GenerationOutcome, GenerationRequest
from ragtime.backends.generators.resolve import resolve_settings
from ragtime.backends.generators.retries import RetryPolicy
from ragtime.backends.generators.stopping import StopCutter
from ragtime.errors import BackendError, BackendTimeoutError
from ragtime.monitoring.logging import get_logger
from ragtime.utils.extras import require
from ragtime.utils.hashing import content_hash

if TYPE_CHECKING:
    import openai

    from ragtime.backends.generators.bridge import Emit
    from ragtime.config.settings import Settings

__all__ = ["OpenAIGenerator"]

log = get_logger(__name__)

_REJECTED = frozenset({400, 422})


class OpenAIGenerator(BaseGenerator):
    """Asks a server; a :class:`ragtime.protocols.TextGenerator` and :class:`ragtime.protocols.AsyncTextGenerator`.

        >>> from ragtime.testing import LocalModelServer
        >>> with LocalModelServer(answer="Five seconds.") as server:
        ...     generator = OpenAIGenerator(base_url=server.base_url, model_name="any")
        ...     list(generator.stream([{"role": "user", "content": "How long?"}]))
        ['Five ', 'seconds.']

    One time limit, ``llm.timeout_seconds``, holds for a whole call: connecting, retries, an answer that trickles in.
    What may pass is tried again up to ``llm.max_retries`` times: no connection, a cut or unreadable answer, the
    statuses 408, 409, 429 and 5xx; never after the first piece of a stream is out, and never beyond the time limit.
    Proxies of the environment are used, except for servers on this machine; redirects are not followed. The whole
    answer must have arrived: a stream that ends without a finish reason counts as cut off. There is nothing to close.
    """

    provider = "openai"

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        model_name: str | None = None,
        http_client: HttpClientFactory | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Prepare to ask a server; nothing is sent.

        Args:
            settings: The settings; ``None`` means the current ones.
            base_url: Address of the server, such as ``http://localhost:11434/v1``; ``None`` means ``llm.base_url``, and
                with a key but without an address OpenAI's own.
            api_key: Key for the server; ``None`` means ``llm.api_key``, and without one a placeholder is sent.
            model_name: The server's name of the model; ``None`` means ``llm.model_name``.
            http_client: Makes the ``httpx2.AsyncClient`` of each call, for certificates or proxies of one's own;
                ``None`` means ragtime's own client.
            clock: Returns seconds; only differences count.
            sleep: Waits some seconds before a retry.

        Raises:
            InvalidArgumentError: An argument has a wrong value.
            ConfigurationError: No model or no server is named.
            MissingExtraError: The ``openai`` package is not installed.
        """
        settings = resolve_settings(settings, base_url=base_url, api_key=api_key, model_name=model_name)
        super().__init__(settings.llm)
        require("openai", "llm")
        self._server = OpenAIServer(settings.llm, http_client)
        self._policy = RetryPolicy(settings.llm.max_retries, settings.seed)
        self._dialect = Dialect()
        self._clock = clock
        self._sleep = sleep

    @property
    def _who(self) -> str:
        return f"Model {self.model_name!r} at {self._server.address}"

    async def _run(self, request: GenerationRequest, emit: Emit, *, streamed: bool) -> GenerationOutcome:
        end = self._clock() + self.llm.timeout_seconds
        async with self._server.client() as client:
            call = _Call(client, self._dialect, self.model_name, request, emit, streamed=streamed)
            for retry in range(self._policy.max_retries + 1):
                try:
                    return await call.ask(retry)
                except Failure as failure:
                    last = failure
                if call.begun or not last.may_pass or retry == self._policy.max_retries:
                    break
                wait = self._policy.wait_seconds(retry, key=call.key, retry_after=last.retry_after)
                if self._clock() + wait >= end:
                    break
                log.warning(
                    "Request tried again",
                    extra={"model": self.model_name, "reason": last.found, "retry": retry + 1, "wait_seconds": wait},
                )
                await self._sleep(wait)
        tries = f" after {retry + 1} tries" if retry else ""
        kind = BackendTimeoutError if last.timed_out else BackendError
        raise kind(f"{self._who}{tries}: {last.found}; {last.remedy}")


class _Call:
    """One call with all its tries.

    Attributes:
        key: Names the request for the jitter.
        begun: Whether a piece of the answer is out, after which nothing is asked again.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        dialect: Dialect,
        model: str,
        request: GenerationRequest,
        emit: Emit,
        *,
        streamed: bool,
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._model = model
        self._request = request
        self._emit = emit
        self._streamed = streamed
        self._with_usage = dialect.usage_in_streams is not False
        self.key = content_hash([dict(message) for message in request.messages])
        self.begun = False

    async def ask(self, retries: int) -> GenerationOutcome:
        """Ask once; or again at once, in the server's own dialect, when it rejects a field.

        Raises:
            Failure: There is no whole answer.
        """
        while True:
            try:
                return await (self._read_stream(retries) if self._streamed else self._read_whole(retries))
            except Exception as error:  # noqa: BLE001 - anything may hold parts of the prompt or the answer
                failure = explain(error)
            if self.begun or not self._adapt(failure):
                raise failure

    def _adapt(self, failure: Failure) -> bool:
        """Change what the server may not have understood; tell whether there is something left to try."""
        if failure.status not in _REJECTED:
            return False
        if failure.wants_completion_limit and self._dialect.limit_field == "max_tokens":
            self._dialect.limit_field = "max_completion_tokens"
            log.info("Server wants max_completion_tokens instead of max_tokens", extra={"model": self._model})
            return True
        if self._streamed and self._with_usage and self._dialect.usage_in_streams is None:
            self._with_usage = False
            return True
        return False

    async def _post(self, **options: Any) -> Any:
        body = request_body(
            self._request,
            model=self._model,
            limit_field=self._dialect.limit_field,
            streamed=self._streamed,
            with_usage=self._with_usage,
        )
        # The raw JSON, not the package's models: those take any shape without complaint.
        return await self._client.post("/chat/completions", cast_to=object, body=body, **options)

    async def _read_whole(self, retries: int) -> GenerationOutcome:
        completion = Completion.model_validate(await self._post())
        choice = completion.choices[0]
        cutter = StopCutter(self._request.stop)
        text = cutter.feed(choice.message.content or "")
        text += cutter.flush()
        _check_text(text, choice.finish_reason, refused=bool(choice.message.refusal), stopped=cutter.stopped)
        reason = "stop" if cutter.stopped else choice.finish_reason or ""
        return GenerationOutcome(text, read_usage(completion.usage), reason, retries)

    async def _read_stream(self, retries: int) -> GenerationOutcome:
        package = require("openai", "llm")
        stream = await self._post(stream=True, stream_cls=package.AsyncStream[object])
        reader = _StreamReader(StopCutter(self._request.stop), self._give)
        async with stream:
            await reader.read(stream)
        self._learn_usage()
        return reader.outcome(retries)

    def _learn_usage(self) -> None:
        if self._dialect.usage_in_streams is None:
            self._dialect.usage_in_streams = self._with_usage
            if not self._with_usage:
                log.info("Server takes no stream_options: streams tell no token usage", extra={"model": self._model})

    def _give(self, piece: str) -> None:
        if piece:
            self.begun = True
            self._emit(piece)


class _StreamReader:
    """Reads the pieces of one streamed answer."""

    def __init__(self, cutter: StopCutter, give: Emit) -> None:
        self._cutter = cutter
        self._give = give
        self._parts: list[str] = []
        self._usage: object = None
        self._reason: str | None = None

    async def read(self, stream: AsyncIterator[object]) -> None:
        try:
            async for data in stream:
                self._take(Chunk.model_validate(data))
                if self._cutter.stopped:
                    self._reason = "stop"
                    return
        except Exception:
            if self._reason is None:
                raise
            log.debug("Stream broke off after the whole answer")
        if self._reason is None:
            raise Failure("a stream cut off before its end", "look for the reason in the server's log", may_pass=True)
        self._push(self._cutter.flush())

    def _take(self, chunk: Chunk) -> None:
        self._push(self._cutter.feed(chunk.text))
        self._reason = self._reason or chunk.finish_reason
        self._usage = chunk.usage or self._usage

    def _push(self, piece: str) -> None:
        self._parts.append(piece)
        self._give(piece)

    def outcome(self, retries: int) -> GenerationOutcome:
        text = "".join(self._parts)
        _check_text(text, self._reason, refused=False, stopped=self._cutter.stopped)
        return GenerationOutcome(text, read_usage(self._usage), self._reason or "", retries)


def _check_text(text: str, reason: str | None, *, refused: bool, stopped: bool) -> None:
    """Refuse a blank answer, which nothing that asks for text can use."""
    if text.strip():
        return
    if refused or reason == "content_filter":
        raise Failure("the server refused to answer", "ask otherwise, or use another model")
    if reason == "length":
        remedy = "raise max_tokens (llm.max_tokens); a model that reasons first needs more of them"
        raise Failure("the token limit was used up before any text", remedy)
    if reason in {"tool_calls", "function_call"}:
        raise Failure("a call of a tool instead of text", "use a model that answers in text")
    if stopped:
        raise Failure("an answer that begins with a stop text", "choose other stop texts")
    raise Failure("an empty answer", "ask otherwise, or use another model")
