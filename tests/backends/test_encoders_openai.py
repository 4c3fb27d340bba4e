"""Encoders on a server: every fault ends in a typed error within its time, or in a successful retry."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from ragtime.backends.encoders import CachedEncoder, OpenAIEncoder, create_encoder
from ragtime.config.settings import Settings
from ragtime.errors import (
    BackendError,
    BackendTimeoutError,
    ConfigurationError,
    InvalidArgumentError,
    MissingExtraError,
)
from ragtime.protocols import TextEncoder
from ragtime.testing import Fault, LocalModelServer

SECRET = "a private question about my health"


async def _no_pause(_: float) -> None:
    """Wait for nothing."""


def _settings(server: LocalModelServer, **changes: object) -> Settings:
    embedding = {"provider": "openai", "model_name": "test-model", "base_url": server.base_url, "timeout_seconds": 1.0}
    return Settings.isolated(embedding={**embedding, **changes})


def _encoder(server: LocalModelServer, **changes: object) -> OpenAIEncoder:
    return OpenAIEncoder(_settings(server, **changes), sleep=_no_pause)


def test_vectors_come_in_the_order_of_the_texts_each_text_sent_once() -> None:
    with LocalModelServer() as server:
        encoder = _encoder(server, batch_size=2)
        texts = ["a", "b", "a", "c", "ä 日本", "\ud800"]
        vectors = encoder.encode(texts)
        assert isinstance(encoder, TextEncoder)
        assert (vectors.shape, vectors.dtype) == ((6, 8), np.float32)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert vectors[0].tobytes() == vectors[2].tobytes()
        assert np.allclose(vectors[3], server.embed("c"), atol=1e-6)
        sent = [request.body["input"] for request in server.requests[1:]]
        assert sent == [["a", "b"], ["c", "ä 日本"], ["\ufffd"]]
        assert encoder.encode([]).shape == (0, 8)


def test_prompts_are_put_in_front_of_their_role() -> None:
    with LocalModelServer() as server:
        encoder = OpenAIEncoder(_settings(server), query_prompt="query: ", passage_prompt="passage: ")
        assert np.allclose(encoder.encode(["a"], role="query")[0], server.embed("query: a"), atol=1e-6)
        assert np.allclose(encoder.encode(["a"])[0], server.embed("passage: a"), atol=1e-6)
        assert encoder.fingerprint("query") != encoder.fingerprint("passage")


def test_models_and_servers_have_fingerprints_of_their_own() -> None:
    with LocalModelServer() as first, LocalModelServer(dimension=16) as second:
        prints = {_encoder(first).fingerprint("query"), _encoder(second).fingerprint("query")}
        prints.add(OpenAIEncoder(_settings(first), model_name="other").fingerprint("query"))
        assert len(prints) == 3
        assert _encoder(first).fingerprint("query") in prints


@pytest.mark.parametrize(
    "fault",
    [
        *("truncate", "html", "broken_json", "wrong_shape", "close", "wrong_count", "nan", "wrong_dimension"),
        *(Fault("status", 500), Fault("status", 429, retry_after="0"), Fault("status", 503)),
    ],
)
def test_what_passes_ends_in_a_successful_retry(fault) -> None:
    with LocalModelServer() as server:
        encoder = _encoder(server)
        assert encoder.dimension == 8
        server.add_faults(fault)
        assert np.allclose(encoder.encode(["a"])[0], server.embed("a"), atol=1e-6)


def test_vectors_listed_in_another_order_are_sorted() -> None:
    with LocalModelServer() as server:
        encoder = _encoder(server)
        assert encoder.dimension == 8
        server.add_faults("wrong_order")
        vectors = encoder.encode(["a", "b", "c"])
        assert np.allclose(vectors, [server.embed(text) for text in "abc"], atol=1e-6)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("truncate", "the connection failed"),
        ("html", "no JSON|no list of 1 vectors"),
        ("broken_json", "no JSON"),
        ("wrong_shape", "no list of 1 vectors"),
        ("close", "the connection failed"),
        ("wrong_count", "no list of 1 vectors"),
        ("nan", "zero or not finite|no JSON|no list"),
        ("wrong_dimension", "vectors of 9 numbers where 8 was expected"),
        (Fault("status", 500), "HTTP status 500"),
        (Fault("status", 401), "HTTP status 401; set api_key to a valid key"),
        (Fault("status", 404), "HTTP status 404; check model_name"),
    ],
)
def test_what_stays_is_a_typed_error_that_quotes_nothing(fault, told: str) -> None:
    with LocalModelServer() as server:
        encoder = _encoder(server)
        assert encoder.dimension == 8
        server.add_faults(*[fault] * 5)
        with pytest.raises(BackendError, match=told) as caught:
            encoder.encode([SECRET])
    assert "test-model" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("fault", ["stall", "stall_mid_body", "drip"])
def test_a_server_that_stalls_or_trickles_is_left_at_the_limit(fault) -> None:
    with LocalModelServer() as server:
        encoder = _encoder(server)
        assert encoder.dimension == 8
        server.add_faults(*[fault] * 5)
        start = time.monotonic()
        with pytest.raises(BackendTimeoutError, match="within 1 seconds"):
            encoder.encode(["a"])
        assert time.monotonic() - start < 10


def test_no_server_at_all() -> None:
    with LocalModelServer() as server:
        settings = _settings(server)
    with pytest.raises(BackendError, match="the connection failed"):
        OpenAIEncoder(settings, sleep=_no_pause).encode(["a"])


def test_a_server_that_was_exchanged_is_found_out_by_its_dimension() -> None:
    with LocalModelServer(dimension=8) as server:
        encoder = _encoder(server, max_retries=0)
        encoder.encode(["a"])
        server.dimension = 16
        with pytest.raises(BackendError, match="vectors of 16 numbers where 8 was expected"):
            encoder.encode(["b"])


def test_wrong_arguments_are_refused_before_anything_is_sent() -> None:
    with LocalModelServer() as server:
        encoder = _encoder(server)
        with pytest.raises(InvalidArgumentError):
            encoder.encode("text")
        with pytest.raises(InvalidArgumentError):
            encoder.encode(["a"], role="document")  # type: ignore[arg-type]
        assert server.requests == []


def test_without_a_server_named_it_is_told_which_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"embedding\.base_url \(RAGTIME_EMBEDDING__BASE_URL\)"):
        OpenAIEncoder(Settings.isolated(embedding__provider="openai"))


def test_the_key_travels_in_the_header_only() -> None:
    with LocalModelServer() as server:
        encoder = OpenAIEncoder(_settings(server, api_key="canary-key"))
        encoder.encode(["a"])
        assert server.requests[-1].headers["authorization"] == "Bearer canary-key"
        server.add_faults(*[Fault("status", 401)] * 3)
        with pytest.raises(BackendError) as caught:
            encoder.encode(["b"])
        assert "canary-key" not in str(caught.value) + repr(encoder)


def test_the_settings_choose_the_server_with_the_cache_in_front(tmp_path) -> None:
    with LocalModelServer() as server:
        settings = _settings(server).replace(data_dir=tmp_path)
        encoder = create_encoder(settings)
        assert isinstance(encoder, CachedEncoder)
        assert isinstance(encoder.encoder, OpenAIEncoder)
        encoder.encode(["a", "b"])
        asked = len(server.requests)
        again = create_encoder(settings)
        assert again.encode(["b", "a"]).shape == (2, 8)
        assert [request.body["input"] for request in server.requests[asked:]] == [["dimension"]]


def test_a_missing_extra_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"ragtime-gal\[llm\]"):
        OpenAIEncoder(Settings.isolated(embedding__base_url="http://localhost:1/v1"))
