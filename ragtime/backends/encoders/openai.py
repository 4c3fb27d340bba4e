"""Embedding models on a server with an OpenAI-compatible endpoint: Ollama, vLLM, OpenAI."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ragtime.backends.encoders.checks import check_role, check_texts, distinct, unit_vectors
from ragtime.backends.servers.attempts import attempt
from ragtime.backends.servers.bridge import Emit, iterate, supervise
from ragtime.backends.servers.failures import Failure, explain
from ragtime.backends.servers.retries import RetryPolicy
from ragtime.backends.servers.server import HttpClientFactory, OpenAIServer
from ragtime.config.settings import Settings, get_settings
from ragtime.errors import BackendError
from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation
from ragtime.protocols import TextRole
from ragtime.utils.extras import LazyModule, require
from ragtime.utils.hashing import content_hash
from ragtime.utils.progress import ProgressMode, track

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    np = LazyModule("numpy")

__all__ = ["OpenAIEncoder"]

_log = get_logger(__name__)
_SHOWN_FROM = 2  # batches from which progress is shown
_GARBAGE = "check that base_url is the address of an OpenAI-compatible API, mostly ending in /v1"


class OpenAIEncoder:
    """Embeds texts on a server; a :class:`ragtime.protocols.TextEncoder`.

    Each distinct text is sent once, ``embedding.batch_size`` texts a request. One time limit,
    ``embedding.timeout_seconds``, holds for each batch with all its retries, also against a server that stalls or
    trickles. What a server gives is checked: the number of vectors, their order, their length, their numbers.

    Attributes:
        model_name: The server's name of the model.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        model_name: str | None = None,
        query_prompt: str = "",
        passage_prompt: str = "",
        http_client: HttpClientFactory | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Prepare to ask a server; nothing is sent.

        Args:
            settings: Section ``embedding`` is used; ``None`` means the current settings.
            model_name: The server's name of the model; ``None`` means the one of the settings.
            query_prompt: Put in front of each query, for models that want it; servers do not do that.
            passage_prompt: Put in front of each passage.
            http_client: Makes the ``httpx2.AsyncClient`` of each batch; ``None`` means ragtime's own client.
            clock: Returns seconds; only differences count.
            sleep: Waits some seconds before a retry.

        Raises:
            ConfigurationError: No server is named.
            MissingExtraError: The ``openai`` package is not installed.
        """
        chosen = settings or get_settings()
        require("openai", "llm")
        self._settings = chosen.embedding
        self.model_name = model_name or self._settings.model_name
        self._prompts = {"query": query_prompt, "passage": passage_prompt}
        self._server = OpenAIServer(self._settings, http_client, section="embedding")
        self._policy = RetryPolicy(self._settings.max_retries, chosen.seed)
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._dimension: int | None = None

    @property
    def dimension(self) -> int:
        """Length of the vectors; asks the server once, with one word.

        Raises:
            BackendError: The server failed.
        """
        with self._lock:
            if self._dimension is None:
                self._dimension = self._ask(["dimension"]).shape[1]
            return self._dimension

    def encode(self, texts: Sequence[str], *, role: TextRole = "passage") -> npt.NDArray[np.float32]:
        """Embed texts.

        Args:
            texts: Any number of texts, none included.
            role: Whether they are queries or passages.

        Returns:
            A float32 array of shape ``[len(texts), dimension]`` with rows of unit length, in the order of the texts.

        Raises:
            InvalidArgumentError: `texts` is a single text or holds something else, or `role` is unknown.
            BackendTimeoutError: A batch was not done within ``embedding.timeout_seconds``.
            BackendError: The server failed, or gave something else than the vectors asked for.
        """
        prompt = self._prompts[check_role(role)]
        unique, inverse = distinct([prompt + text for text in check_texts(texts)])
        vectors = np.empty((len(unique), self.dimension), dtype=np.float32)
        if not unique:
            return vectors
        step = self._settings.batch_size
        mode: ProgressMode | None = None if len(unique) > step * _SHOWN_FROM else "off"
        level = logging.INFO if len(inverse) > 1 else logging.DEBUG  # a single one is a look-up
        with log_operation(_log, "encode", level=level, model=self.model_name, role=role) as operation:
            operation.add(count=len(inverse), distinct=len(unique))
            with track("Embedding", total=len(unique), unit="texts", mode=mode) as progress:
                for start in range(0, len(unique), step):
                    batch = unique[start : start + step]
                    vectors[start : start + len(batch)] = self._ask(batch)
                    progress.advance(len(batch))
        return vectors[inverse]

    def fingerprint(self, role: TextRole) -> str:
        """Return a hash of what is known of the model: its name, its address, its dimension and the role's prompt.

        A server does not tell its weights: one that exchanges the model under the same name keeps the fingerprint.

        Args:
            role: The role.

        Returns:
            64 hexadecimal digits.

        Raises:
            BackendError: The server failed.
        """
        prompt = self._prompts[check_role(role)]
        return content_hash(["openai", self._server.base_url, self.model_name, self.dimension, prompt])

    @property
    def _who(self) -> str:
        return f"Model {self.model_name!r} at {self._server.base_url}"

    def _ask(self, texts: list[str]) -> npt.NDArray[np.float32]:
        answers: list[npt.NDArray[np.float32]] = []

        async def work(_: Emit) -> None:
            limit = self._settings.timeout_seconds
            answers.append(await supervise(self._attempt(texts), who=self._who, limit_seconds=limit))

        deque(iterate(work), maxlen=0)
        return answers[0]

    async def _attempt(self, texts: list[str]) -> npt.NDArray[np.float32]:
        async with self._server.client() as client:

            async def ask(_: int) -> npt.NDArray[np.float32]:
                try:
                    body = {"model": self.model_name, "input": texts, "encoding_format": "float"}
                    # The raw JSON, not the package's models: those take any shape without complaint.
                    answer = await client.post("/embeddings", cast_to=object, body=body)
                    return self._read(answer, len(texts))
                except Exception as error:  # noqa: BLE001 - anything may hold parts of the texts
                    failure = explain(error)
                raise failure

            return await attempt(
                ask,
                policy=self._policy,
                key=content_hash(texts),
                who=self._who,
                limit_seconds=self._settings.timeout_seconds,
                clock=self._clock,
                sleep=self._sleep,
            )

    def _read(self, answer: Any, count: int) -> npt.NDArray[np.float32]:
        try:
            rows = sorted(_Answer.model_validate(answer).data, key=lambda row: row.index)
        except ValidationError:
            rows = []
        if [row.index for row in rows] != list(range(count)):
            raise Failure(f"no list of {count} vectors", _GARBAGE, may_pass=True)
        lengths = {len(row.embedding) for row in rows}
        if len(lengths) != 1 or (self._dimension is not None and lengths != {self._dimension}):
            told = (
                f"vectors of {' and '.join(map(str, sorted(lengths)))} numbers where {self._dimension or 'one length'} "
            )
            raise Failure(f"{told}was expected", "check that the server still runs the same model", may_pass=True)
        try:
            return unit_vectors(
                [row.embedding for row in rows], count=count, dimension=self._dimension, model=self.model_name
            )
        except BackendError:
            raise Failure("vectors that are zero or not finite", "look into the server's log", may_pass=True) from None


class _Row(BaseModel):
    """One vector, and which text it belongs to."""

    model_config = ConfigDict(hide_input_in_errors=True)

    embedding: list[float]
    index: int


class _Answer(BaseModel):
    """The answer of the endpoint, as far as it is used."""

    model_config = ConfigDict(hide_input_in_errors=True)

    data: list[_Row]
