"""Text from any server with an OpenAI-compatible endpoint: OpenAI, Ollama, vLLM, llama.cpp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ragtime.backends.generators.base import BaseGenerator
from ragtime.backends.generators.openai_call import ServerCall
from ragtime.backends.generators.openai_wire import Dialect
from ragtime.backends.generators.request import resolve_settings
from ragtime.backends.servers.attempts import attempt
from ragtime.backends.servers.retries import RetryPolicy
from ragtime.backends.servers.server import HttpClientFactory, OpenAIServer
from ragtime.monitoring.logging import get_logger
from ragtime.utils.extras import require

if TYPE_CHECKING:
    from ragtime.backends.generators.request import GenerationOutcome, GenerationRequest
    from ragtime.backends.servers.bridge import Emit
    from ragtime.config.settings import Settings

__all__ = ["OpenAIGenerator"]

log = get_logger(__name__)


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
        return f"Model {self.model_name!r} at {self._server.base_url}"

    async def _run(self, request: GenerationRequest, emit: Emit, *, streamed: bool) -> GenerationOutcome:
        async with self._server.client() as client:
            call = ServerCall(client, self._dialect, self.model_name, request, emit, streamed=streamed)
            return await attempt(
                call.ask,
                policy=self._policy,
                key=call.key,
                who=self._who,
                limit_seconds=self.llm.timeout_seconds,
                clock=self._clock,
                sleep=self._sleep,
                may_repeat=lambda: not call.begun,
            )
