"""A session with an MCP server, over the pipes of a command or over HTTP."""

from __future__ import annotations

import ipaddress
import json
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from pydantic import JsonValue, ValidationError

from ragtime.utils.extras import require

if TYPE_CHECKING:
    import mcp
    from mcp.types import CallToolResult

__all__ = ["CallTool", "HttpServer", "RefusedError", "Server", "ServerFailure", "StdioServer", "with_session"]

CallTool: TypeAlias = "Callable[[str, Mapping[str, JsonValue]], Awaitable[JsonValue]]"
"""Calls a tool with arguments and returns its answer."""

Streams: TypeAlias = "AbstractAsyncContextManager[Any]"

_EXTRA = "conport"
_OWN_VARIABLES = "RAGTIME_"
_LONGEST_REASON = 500  # characters


class ServerFailure(Exception):  # noqa: N818 - a state of the server, not a fault of a call
    """The server cannot be reached, or does not answer; the message holds no text of a caller or a server.

    Attributes:
        lasting: Whether trying again is useless.
    """

    def __init__(self, message: str, *, lasting: bool = False) -> None:
        """Keep the message."""
        super().__init__(message)
        self.lasting = lasting


class RefusedError(Exception):
    """The server answered that it will not do what a call asked; the message is the server's own."""


class Server(Protocol):
    """Where an MCP server is."""

    @property
    def name(self) -> str:
        """What it is called in logs; it holds no secret."""
        ...

    def streams(self, *, output: Path, timeout_seconds: float) -> Streams:
        """Open the two streams of a session.

        Args:
            output: File for what the server says besides, where it is a command.
            timeout_seconds: Limit for one answer.

        Returns:
            A context manager that gives them.
        """
        ...


@dataclass(frozen=True)
class StdioServer:
    """A server that is started, and spoken to over its standard input and output.

    It gets the whole environment, but for ragtime's own variables, which may hold keys that are not its business.

    Attributes:
        command: Program and arguments; they may hold secrets, and are in no log.
    """

    command: tuple[str, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """The program, without its folder and arguments."""
        return Path(self.command[0]).name

    @asynccontextmanager
    async def streams(self, *, output: Path, timeout_seconds: float) -> AsyncIterator[Any]:  # noqa: ARG002
        """Start the server; what it says on standard error goes to `output`, in place of what was there."""
        package = require("mcp", _EXTRA)
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(_OWN_VARIABLES)}
        parameters = package.StdioServerParameters(
            command=self.command[0],
            args=list(self.command[1:]),
            env=environment,
            encoding_error_handler="replace",  # a server that prints what is no UTF-8 would not be heard any more
        )
        output.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as errors:
            async with package.stdio_client(parameters, errlog=errors) as streams:
                yield streams


@dataclass(frozen=True)
class HttpServer:
    """A server that runs somewhere, spoken to over HTTP.

    Attributes:
        url: Its address; ``/mcp`` is added when it has no path.
    """

    url: str

    @property
    def name(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @asynccontextmanager
    async def streams(self, *, output: Path, timeout_seconds: float) -> AsyncIterator[Any]:  # noqa: ARG002
        """Open a client."""
        http = require("httpx2", _EXTRA)
        transport = require("mcp.client.streamable_http", _EXTRA)
        parts = urlsplit(self.url)
        url = parts._replace(path=parts.path.rstrip("/") or "/mcp").geturl()
        # No proxy between two programs of one machine, and no redirect to wherever a server points.
        loopback = _is_loopback(parts.hostname or "")
        async with (
            http.AsyncClient(timeout=timeout_seconds, trust_env=not loopback, follow_redirects=False) as client,
            transport.streamable_http_client(url, http_client=client) as streams,
        ):
            yield streams


def _is_loopback(host: str) -> bool:
    if host.rstrip(".").rpartition(".")[2] == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def with_session(
    server: Server,
    use: Callable[[CallTool], Awaitable[None]],
    *,
    output: Path,
    start_seconds: float,
    timeout_seconds: float,
) -> None:
    """Open a session, use it, and close it; all of that in the task that calls, as sessions demand.

    Args:
        server: The server.
        use: Uses the session by calling tools.
        output: File for what the server says besides.
        start_seconds: Limit for the start.
        timeout_seconds: Limit for one answer.

    Raises:
        ServerFailure: The session could not be opened, or broke.
        StorageError: `use` could not write what it had to.
    """
    package, anyio = require("mcp", _EXTRA), require("anyio", _EXTRA)
    failure: Exception | None = None
    started = False
    try:
        # Scopes of anyio's, not task.cancel: those leave alone the ending of a server that has begun.
        with anyio.CancelScope(deadline=anyio.current_time() + start_seconds) as start:
            async with AsyncExitStack() as stack:
                # What is raised in here would come out wrapped into groups, once for every task group on the way.
                try:
                    streams = server.streams(output=output, timeout_seconds=timeout_seconds)
                    reader, writer = await stack.enter_async_context(streams)
                    session = await stack.enter_async_context(package.ClientSession(reader, writer))
                    await session.initialize()
                    started, start.deadline = True, math.inf
                    await use(_caller(session, timeout_seconds))
                except Exception as error:  # noqa: BLE001 - whatever a transport raises, there is no session
                    failure = error if started else _failed_start(error)
    except Exception as error:  # noqa: BLE001 - the transport's own, while closing
        failure = failure or ServerFailure(f"its connection broke ({_kind_of(error)})")
    if start.cancelled_caught and not started:
        failure = failure or ServerFailure(f"it did not start within {start_seconds:g} seconds")
    if failure is not None:
        raise failure


def _failed_start(error: Exception) -> ServerFailure:
    if isinstance(error, FileNotFoundError | PermissionError):
        return ServerFailure("its command was not found, or may not be run", lasting=True)
    return ServerFailure(f"it could not be started or reached, or ended at once ({_kind_of(error)})")


def _kind_of(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


def _caller(session: mcp.ClientSession, timeout_seconds: float) -> CallTool:
    package, anyio, types = require("mcp", _EXTRA), require("anyio", _EXTRA), require("mcp.types", _EXTRA)

    async def call(tool: str, arguments: Mapping[str, JsonValue]) -> JsonValue:
        parameters = types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        try:
            with anyio.fail_after(timeout_seconds):
                # Not session.call_tool, which fails when an answer does not fit the tool's schema: it is done by then.
                result = await session.send_request(types.CallToolRequest(params=parameters), types.CallToolResult)
        except TimeoutError:
            raise ServerFailure(f"it gave no answer to {tool} within {timeout_seconds:g} seconds") from None
        except ValidationError:
            raise RefusedError("The answer is none to a tool call") from None
        except package.MCPError as error:
            if error.code in {types.METHOD_NOT_FOUND, types.INVALID_PARAMS}:
                raise RefusedError(str(error.message)[:_LONGEST_REASON]) from None
            raise ServerFailure(f"it gave error {error.code} to {tool}, or ended") from None
        return _answer(result)

    return call


def _answer(result: CallToolResult) -> JsonValue:
    texts = [text for content in result.content if isinstance(text := getattr(content, "text", None), str)]
    if result.is_error:  # a tool that fails is no error of the protocol
        raise RefusedError("\n".join(texts)[:_LONGEST_REASON])
    content: JsonValue = result.structured_content
    if content is None:
        try:
            content = json.loads("\n".join(texts)) if texts else None
        except ValueError:
            raise RefusedError("The answer is no JSON") from None
    if isinstance(content, dict) and list(content) == ["result"]:  # how a list travels
        return content["result"]
    return content
