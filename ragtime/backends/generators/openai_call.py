"""One question to an OpenAI-compatible server: sent, read and checked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from ragtime.backends.generators.openai_wire import Chunk, Completion, Dialect, read_usage, request_body
from ragtime.backends.generators.request import GenerationOutcome, GenerationRequest
from ragtime.backends.generators.stopping import StopCutter
from ragtime.backends.servers.failures import Failure, explain
from ragtime.monitoring.logging import get_logger
from ragtime.utils.extras import require
from ragtime.utils.hashing import content_hash

if TYPE_CHECKING:
    import openai

    from ragtime.backends.servers.bridge import Emit

__all__ = ["ServerCall"]

log = get_logger(__name__)

_REJECTED = frozenset({400, 422})


class ServerCall:
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
        """Prepare a call.

        Args:
            client: Reaches the server.
            dialect: What the server understands; learns from the call.
            model: The server's name of the model.
            request: What is asked.
            emit: Takes each piece of a streamed answer.
            streamed: Whether the answer comes piece by piece.
        """
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

        Args:
            retries: Further tries made before, for the outcome.

        Returns:
            The whole answer.

        Raises:
            Failure: There is none.
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
