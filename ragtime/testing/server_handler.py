"""One request to the local model server: the endpoints, and how each fault looks on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from ragtime.testing.server_faults import Fault, ReceivedRequest
from ragtime.utils.tokens import EstimatedTokenCounter

if TYPE_CHECKING:
    from ragtime.testing.model_server import LocalModelServer

__all__ = ["ModelRequestHandler"]

_PIECES = re.compile(r"\S+\s*|\s+")
_BAD_BODIES = {
    "html": ("text/html", b"<html><body><h1>It works!</h1></body></html>"),
    "broken_json": ("application/json", b'{"choices": [{"message": {"content": "cut'),
    "wrong_shape": ("application/json", b'{"choices": "none", "data": 7, "unexpected": [1, 2]}'),
}
_JSON = "application/json"
_EVENTS = "text/event-stream"


class ModelRequestHandler(BaseHTTPRequestHandler):
    """Answers requests for the :class:`ragtime.testing.LocalModelServer` that owns the HTTP server."""

    protocol_version = "HTTP/1.1"

    @property
    def _owner(self) -> LocalModelServer:
        owner: LocalModelServer = self.server.owner  # type: ignore[attr-defined]
        return owner

    def do_GET(self) -> None:
        """Answer a request for the list of models."""
        self._handle()

    def do_POST(self) -> None:
        """Answer a request for a completion or for vectors."""
        self._handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        body = json.loads(raw) if raw else None
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self._owner.receive(ReceivedRequest(self.command, self.path, headers, body))
        if self.path.endswith("/chat/completions") and body is not None:
            self._chat(body, fault)
        elif self.path.endswith("/embeddings") and body is not None:
            self._respond(_JSON, self._embeddings(body, fault), fault)
        elif self.path.endswith("/models"):
            models = {"object": "list", "data": [{"id": self._owner.model, "object": "model"}]}
            self._respond(_JSON, _encode(models), fault)
        else:
            self._respond(_JSON, b"", Fault("status", status=404))

    def _chat(self, body: dict[str, Any], fault: Fault | None) -> None:
        empty = fault is not None and fault.kind == "empty"
        text = "" if empty else self._owner.answer(body["messages"])
        usage = _usage(body, text)
        if body.get("stream"):
            with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
            events = list(_events(text, self._owner.finish_reason, usage if with_usage else None))
            self._respond(_EVENTS, b"".join(events), fault)
            return
        message = {"role": "assistant", "content": None if empty else text}
        choice = {"index": 0, "message": message, "finish_reason": self._owner.finish_reason}
        answer = {"object": "chat.completion", "model": self._owner.model, "choices": [choice], "usage": usage}
        self._respond(_JSON, _encode(answer), fault)

    def _embeddings(self, body: dict[str, Any], fault: Fault | None) -> bytes:
        texts = [body["input"]] if isinstance(body["input"], str) else list(body["input"])
        vectors = [self._owner.embed(text) for text in texts]
        indices = list(range(len(vectors)))
        kind = fault.kind if fault is not None else ""
        if kind == "wrong_dimension":
            vectors = [[*vector, 0.0] for vector in vectors]
        elif kind == "wrong_count":
            vectors = vectors[:-1]
        elif kind == "wrong_order":
            vectors, indices = vectors[::-1], indices[::-1]
        elif kind == "nan":
            vectors = [[float("nan"), *vector[1:]] for vector in vectors]
        elif kind == "empty":
            vectors = []
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(vector, body.get("encoding_format"))}
            for index, vector in zip(indices, vectors, strict=False)
        ]
        tokens = _usage({"messages": [{"content": text} for text in texts]}, "")["prompt_tokens"]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return _encode({"object": "list", "model": self._owner.model, "data": data, "usage": usage})

    def _respond(self, kind: str, payload: bytes, fault: Fault | None) -> None:
        """Send an answer, spoilt by the fault."""
        what = fault.kind if fault is not None else ""
        if fault is not None and what == "status":
            self._fail(fault)
        elif fault is not None and what == "stall":
            self._owner.closing.wait(fault.seconds)
            self.close_connection = True
        elif what == "close":
            self.close_connection = True
        elif what in _BAD_BODIES:
            self._bad_body(kind, what)
        elif fault is not None and what in {"stall_mid_body", "drip", "truncate"}:
            self._send_part(kind, payload, fault)
        else:
            self._send(200, kind, payload)

    def _fail(self, fault: Fault) -> None:
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        self._send(fault.status, _JSON, _encode({"error": {"message": "a planned fault", **fault.error}}), headers)

    def _bad_body(self, kind: str, what: str) -> None:
        bad_kind, payload = _BAD_BODIES[what]
        if kind == _EVENTS and what != "html":
            bad_kind, payload = _EVENTS, b"data: " + payload + b"\n\ndata: [DONE]\n\n"
        self._send(200, bad_kind, payload)

    def _send_part(self, kind: str, payload: bytes, fault: Fault) -> None:
        """Send the start of an answer, then nothing, the rest byte by byte, or the end of the connection."""
        self.close_connection = True
        half = len(payload) // 2
        self._head(200, kind, len(payload), {})
        if fault.kind == "drip":
            for position in range(len(payload)):
                self.wfile.write(payload[position : position + 1])
                if self._owner.closing.wait(1.0 if fault.seconds is None else fault.seconds):
                    return
            return
        self.wfile.write(payload[:half])
        if fault.kind == "stall_mid_body":
            self._owner.closing.wait(fault.seconds)

    def _send(self, status: int, kind: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, kind, len(payload), headers or {})
        self.wfile.write(payload)

    def _head(self, status: int, kind: str, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _events(text: str, finish_reason: str, usage: dict[str, int] | None) -> Iterator[bytes]:
    for piece in _PIECES.findall(text):
        yield _event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
    yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    if usage is not None:
        yield _event({"choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + _encode(data) + b"\n\n"


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def _vector(vector: list[float], encoding: str | None) -> list[float] | str:
    if encoding != "base64":
        return vector
    import base64  # noqa: PLC0415
    import struct  # noqa: PLC0415

    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _usage(body: dict[str, Any], text: str) -> dict[str, int]:
    count = EstimatedTokenCounter().count
    read = sum(count(str(message.get("content", ""))) for message in body["messages"])
    return {"prompt_tokens": read, "completion_tokens": count(text), "total_tokens": read + count(text)}
