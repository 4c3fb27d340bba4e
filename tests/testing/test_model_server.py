"""LocalModelServer on the wire, as another client would see it."""

from __future__ import annotations

import http.client
import json
import math
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from ragtime.errors import InvalidArgumentError
from ragtime.testing import Fault, LocalModelServer

CHAT = {"model": "m", "messages": [{"role": "user", "content": "How?"}]}


def ask(server: LocalModelServer, path: str, body: Any = None) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.base_url).port, timeout=5)
    try:
        if body is None:
            connection.request("GET", f"/v1{path}")
        else:
            connection.request("POST", f"/v1{path}", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def vectors(server: LocalModelServer, *texts: str, **options: Any) -> list[list[float]]:
    data = json.loads(ask(server, "/embeddings", {"model": "m", "input": list(texts), **options})[1])["data"]
    return [item["embedding"] for item in sorted(data, key=lambda item: item["index"])]


def test_a_completion_has_the_shape_of_the_api() -> None:
    with LocalModelServer(answer=lambda messages: messages[-1]["content"] + " So.", model="n") as server:
        status, body, headers = ask(server, "/chat/completions", CHAT)
        request = server.requests[0]
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {
        "object": "chat.completion",
        "model": "n",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "How? So."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6},
    }
    assert (request.method, request.path, request.body) == ("POST", "/v1/chat/completions", CHAT)


def test_a_stream_is_server_sent_events() -> None:
    with LocalModelServer(answer="one two") as server:
        body = ask(server, "/chat/completions", {**CHAT, "stream": True, "stream_options": {"include_usage": True}})[1]
    *events, done = body.decode().strip().split("\n\n")
    assert done == "data: [DONE]"
    parsed = [json.loads(event.removeprefix("data: ")) for event in events]
    assert [event["choices"][0]["delta"].get("content") for event in parsed[:3]] == ["one ", "two", None]
    assert parsed[3] == {
        "choices": [],
        "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
    }


def test_models_and_unknown_paths() -> None:
    with LocalModelServer(model="n") as server:
        assert json.loads(ask(server, "/models")[1])["data"][0]["id"] == "n"
        assert ask(server, "/nothing")[0] == 404


def test_vectors_are_of_unit_length_and_depend_on_the_text_alone() -> None:
    with LocalModelServer(dimension=5) as first, LocalModelServer(dimension=5) as second:
        both = vectors(first, "a", "b")
        assert both == vectors(second, "a", "b")
        assert json.loads(ask(first, "/embeddings", {"model": "m", "input": "a"})[1])["data"][0]["embedding"] == both[0]
    assert both[0] != both[1]
    assert [len(vector) for vector in both] == [5, 5]
    assert all(math.isclose(sum(number**2 for number in vector), 1) for vector in both)


def test_vectors_of_ones_own_also_as_base64() -> None:
    import base64
    import struct

    with LocalModelServer(embed=lambda text: [len(text), 0.5]) as server:
        assert vectors(server, "abc") == [[3.0, 0.5]]
        (packed,) = vectors(server, "abc", encoding_format="base64")
    assert struct.unpack("<2f", base64.b64decode(packed)) == (3.0, 0.5)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("wrong_dimension", [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]),
        ("wrong_count", [[1.0, 0.0]]),
        ("wrong_order", [[1.0, 0.0], [2.0, 0.0]]),
        ("empty", []),
    ],
)
def test_faults_of_vectors(kind, told) -> None:
    with LocalModelServer(embed=lambda text: [len(text), 0.0], faults=[kind, None]) as server:
        assert vectors(server, "a", "bb") == told
        assert vectors(server, "a", "bb") == [[1.0, 0.0], [2.0, 0.0]]


def test_the_wrong_order_is_that_of_the_list() -> None:
    with LocalModelServer(faults=["wrong_order"]) as server:
        data = json.loads(ask(server, "/embeddings", {"input": ["a", "b", "c"]})[1])["data"]
    assert [item["index"] for item in data] == [2, 1, 0]


def test_not_a_number() -> None:
    with LocalModelServer(faults=["nan"]) as server:
        assert math.isnan(vectors(server, "a")[0][0])


def test_faults_of_answers() -> None:
    faults = [
        Fault("status", status=429, retry_after="7", error={"code": "rate_limit_exceeded"}),
        "html",
        "broken_json",
        "wrong_shape",
        "empty",
    ]
    with LocalModelServer(faults=faults) as server:
        status, body, headers = ask(server, "/chat/completions", CHAT)
        assert (status, headers["Retry-After"], json.loads(body)["error"]["code"]) == (429, "7", "rate_limit_exceeded")
        assert ask(server, "/chat/completions", CHAT)[2]["Content-Type"] == "text/html"
        with pytest.raises(json.JSONDecodeError):
            json.loads(ask(server, "/chat/completions", CHAT)[1])
        assert json.loads(ask(server, "/chat/completions", CHAT)[1])["choices"] == "none"
        assert json.loads(ask(server, "/chat/completions", CHAT)[1])["choices"][0]["message"]["content"] is None
        assert ask(server, "/chat/completions", CHAT)[0] == 200


def test_an_answer_cut_off_and_no_answer() -> None:
    with LocalModelServer(faults=["truncate"]) as server:
        with pytest.raises(http.client.IncompleteRead):
            ask(server, "/chat/completions", CHAT)
        server.add_faults("close")
        with pytest.raises(http.client.RemoteDisconnected):
            ask(server, "/chat/completions", CHAT)


def test_a_fault_may_be_for_certain_requests_only() -> None:
    with LocalModelServer(faults=[Fault("status", status=400, fields=("seed",))]) as server:
        assert ask(server, "/models")[0] == 200
        assert ask(server, "/chat/completions", CHAT)[0] == 200
        assert ask(server, "/chat/completions", {**CHAT, "seed": 1})[0] == 400
        assert ask(server, "/chat/completions", {**CHAT, "seed": 1})[0] == 200


@pytest.mark.parametrize("kind", ["stall", "stall_mid_body", "drip", None])
def test_it_ends_at_once_with_connections_open(kind) -> None:
    before = set(threading.enumerate())
    with LocalModelServer(faults=[kind]) as server:
        client = socket.create_connection(("127.0.0.1", urlsplit(server.base_url).port))
        body = json.dumps(CHAT).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body)
        while not server.requests:
            time.sleep(0.01)
        start = time.monotonic()
    assert time.monotonic() - start < 5
    assert set(threading.enumerate()) == before
    client.close()


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="did you mean 'stall'"):
        LocalModelServer(faults=["stal"])  # type: ignore[list-item]


def test_the_address_is_known_only_while_it_runs() -> None:
    server = LocalModelServer()
    with pytest.raises(RuntimeError, match="with block"):
        server.base_url  # noqa: B018
    with server:
        assert server.base_url.startswith("http://127.0.0.1:")
    assert server.open_connections == 0
