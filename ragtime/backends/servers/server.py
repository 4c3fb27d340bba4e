"""Reaching an OpenAI-compatible server: its address, its key, and one client a call."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from ragtime.errors import ConfigurationError
from ragtime.utils.extras import require

if TYPE_CHECKING:
    import httpx2
    import openai

    from ragtime.config.sections import EmbeddingSettings, LLMSettings

__all__ = ["HttpClientFactory", "OpenAIServer"]

HttpClientFactory: TypeAlias = "Callable[[], httpx2.AsyncClient]"

_OPENAI = "https://api.openai.com/v1"
_PLACEHOLDER = "none"  # servers without keys ignore it; the openai package wants one
_CONNECT_SECONDS = 10.0


class OpenAIServer:
    """An OpenAI-compatible endpoint.

    Attributes:
        base_url: Its address; it holds no secret, the settings see to that.
    """

    def __init__(
        self,
        settings: LLMSettings | EmbeddingSettings,
        http_client: HttpClientFactory | None = None,
        *,
        section: str = "llm",
    ) -> None:
        """Take address, key and time limit from the settings.

        Args:
            settings: The settings of the section.
            http_client: Makes the HTTP client of a call; ``None`` means ragtime's own.
            section: Name of the section, for error messages.

        Raises:
            ConfigurationError: No server is named.
        """
        if settings.base_url is None and settings.api_key is None:
            raise ConfigurationError(
                f"No server is named; set {section}.base_url (RAGTIME_{section.upper()}__BASE_URL), such as "
                f"http://localhost:11434/v1, or {section}.api_key for {_OPENAI}"
            )
        self._key = settings.api_key.get_secret_value() if settings.api_key is not None else _PLACEHOLDER
        self.base_url = settings.base_url or _OPENAI
        self._loopback = _is_loopback(urlsplit(self.base_url).hostname or "")
        self._connect_seconds = min(_CONNECT_SECONDS, settings.timeout_seconds / 2)  # leaves time for a retry
        self._http_client = http_client or self._own_client

    @asynccontextmanager
    async def client(self) -> AsyncIterator[openai.AsyncOpenAI]:
        """Open a client for one call.

        Not kept between calls: its connections belong to one event loop, and there would be something to close.

        Yields:
            The client. It neither retries nor limits time; whoever calls does.
        """
        package = require("openai", "llm")
        async with self._http_client() as http:
            yield package.AsyncOpenAI(
                api_key=self._key, base_url=self.base_url, max_retries=0, timeout=self._timeout(), http_client=http
            )

    def _own_client(self) -> httpx2.AsyncClient:
        httpx = require("httpx2", "llm")
        # No redirects: they would carry the key and the messages to wherever a server points.
        client: httpx2.AsyncClient = httpx.AsyncClient(
            timeout=self._timeout(), verify=self._tls, follow_redirects=False, trust_env=not self._loopback
        )
        return client

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Reading the certificates takes longer than all the rest of opening a client.
        context: ssl.SSLContext = require("httpx2", "llm").create_ssl_context()
        return context

    def _timeout(self) -> httpx2.Timeout:
        # Only connecting has a limit of its own. The others would start anew with every byte.
        timeout: httpx2.Timeout = require("httpx2", "llm").Timeout(None, connect=self._connect_seconds)
        return timeout


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".").rpartition(".")[2] == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
