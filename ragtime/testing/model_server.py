"""A local OpenAI-compatible server for tests: real HTTP on the loopback interface, and faults on demand."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ragtime.testing.server_faults import Fault, FaultKind, ReceivedRequest, as_fault
from ragtime.testing.server_handler import ModelRequestHandler
from ragtime.utils.extras import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from ragtime.protocols import Message
else:
    np = LazyModule("numpy")

__all__ = ["LocalModelServer"]


class LocalModelServer:
    """Serves chat completions, embeddings and a list of models, in threads of its own.

        >>> with LocalModelServer(answer="Five seconds.", faults=["close", None]) as server:
        ...     address = server.base_url

    Each request takes the next of the faults; ``None``, and the end of them, means that the server behaves.

    Attributes:
        requests: Every request received, in order.
        model: Name of the model it tells.
        dimension: Length of its vectors.
        closing: Set when the server ends, which ends what stalls.
    """

    def __init__(
        self,
        *,
        answer: str | Callable[[Sequence[Message]], str] = "An answer from the test server.",
        embed: Callable[[str], Sequence[float]] | None = None,
        dimension: int = 8,
        model: str = "test-model",
        finish_reason: str = "stop",
        faults: Iterable[Fault | FaultKind | None] = (),
    ) -> None:
        """Prepare the server; it runs inside a ``with`` block.

        Args:
            answer: The answer to everything, or a function of the messages.
            embed: Gives the vector of a text; ``None`` means a unit vector of its hash.
            dimension: Length of the vectors of the hash.
            model: Name of the model.
            finish_reason: Why answers end.
            faults: What goes wrong, by request.
        """
        self._answer = answer
        self._embed = embed
        self._faults: deque[Fault | None] = deque(None if fault is None else as_fault(fault) for fault in faults)
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.dimension = dimension
        self.model = model
        self.finish_reason = finish_reason
        self.requests: list[ReceivedRequest] = []
        self.closing = threading.Event()

    @property
    def base_url(self) -> str:
        """The address to set as ``base_url``; only known while the server runs."""
        if self._server is None:
            raise RuntimeError("The server does not run; use it in a with block")
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def open_connections(self) -> int:
        """Number of connections that clients hold open."""
        return 0 if self._server is None else self._server.open_connections

    def add_faults(self, *faults: Fault | FaultKind | None) -> None:
        """Let further requests go wrong, after those planned already."""
        with self._lock:
            self._faults.extend(None if fault is None else as_fault(fault) for fault in faults)

    def receive(self, request: ReceivedRequest) -> Fault | None:
        """Record a request; return its fault."""
        with self._lock:
            self.requests.append(request)
            fault = self._faults[0] if self._faults else None
            if fault is not None and not set(fault.fields) <= set(request.body or ()):
                return None
            return self._faults.popleft() if self._faults else None

    def answer(self, messages: Sequence[Message]) -> str:
        """Return the answer to some messages."""
        return self._answer(messages) if callable(self._answer) else self._answer

    def embed(self, text: str) -> list[float]:
        """Return the vector of a text."""
        if self._embed is not None:
            return [float(number) for number in self._embed(text)]
        seed = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        vector = np.random.default_rng(seed).standard_normal(self.dimension)
        unit: list[float] = (vector / np.linalg.norm(vector)).tolist()
        return unit

    def __enter__(self) -> Self:
        self.closing.clear()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, name="ragtime-model-server"
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.closing.set()
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None and thread is not None:
            server.shutdown()
            thread.join()
            server.drop_connections()
            server.server_close()  # waits for the handlers, which have nothing left to wait for


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # all are waited for, so that none outlives the server
    request_queue_size = 64

    def __init__(self, owner: LocalModelServer) -> None:
        self.owner = owner
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), ModelRequestHandler)

    @property
    def open_connections(self) -> int:
        with self._connections_lock:
            return len(self._connections)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def drop_connections(self) -> None:
        """End the reading of connections that clients keep open."""
        with self._connections_lock:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was faster

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that leave in the middle are what the tests are about."""
