"""The small parts of the generators: stop texts, pauses, shapes, failures, the factory."""

from __future__ import annotations

import doctest
import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragtime.backends.generators import OpenAIGenerator, TransformersGenerator, create_generator
from ragtime.backends.generators.openai_wire import Chunk, read_usage
from ragtime.backends.generators.stopping import StopCutter
from ragtime.backends.servers.failures import explain
from ragtime.backends.servers.retries import read_retry_after
from ragtime.backends.servers.server import OpenAIServer
from ragtime.config.settings import Settings, override_settings
from ragtime.errors import ConfigurationError

# --- stop texts -----------------------------------------------------------------------------------------------------


def cut(pieces: list[str], stop: list[str]) -> list[str]:
    cutter = StopCutter(stop)
    return [*(cutter.feed(piece) for piece in pieces), cutter.flush()]


@pytest.mark.parametrize(
    ("pieces", "stop", "given_out"),
    [
        (["abc"], [], ["abc", ""]),
        (["abcEND tail"], ["END"], ["abc", ""]),
        (["ab E", "ND", "more"], ["END"], ["ab ", "", "", ""]),
        (["ab EN", "X"], ["END"], ["ab ", "ENX", ""]),
        (["ab EN"], ["END"], ["ab ", "EN"]),
        (["aab"], ["ab"], ["a", ""]),
        (["a", "a", "b"], ["ab"], ["", "a", "", ""]),
        (["xabcd"], ["abcd", "bc"], ["xa", ""]),
        (["xabc"], ["abc", "bc", "c"], ["x", ""]),
    ],
)
def test_stop_texts(pieces, stop, given_out) -> None:
    assert cut(pieces, stop) == given_out


@given(st.lists(st.text("ab", max_size=4), max_size=12), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_pieces_do_not_matter_and_no_stop_text_comes_out(pieces, stop) -> None:
    whole = "".join(cut(["".join(pieces)], stop))
    assert "".join(cut(pieces, stop)) == whole
    assert "".join(pieces).startswith(whole)
    assert not any(text in whole for text in stop)
    if not any(text in "".join(pieces) for text in stop):
        assert whole == "".join(pieces)


# --- pauses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        (
            {"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"},
            30.0,
        ),
        (
            {"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT", "date": "Sun, 22 Nov 2026 10:00:00 GMT"},
            0.0,
        ),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 10:00:30", "date": "Sun, 22 Nov 2026 10:00:00 GMT"}, None),
    ],
)
def test_retry_after(headers, seconds) -> None:
    assert read_retry_after(headers) == seconds


# --- shapes and failures --------------------------------------------------------------------------------------------


def test_only_the_first_choice_of_a_chunk_counts() -> None:
    chunk = Chunk.model_validate(
        {"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]}
    )
    assert (chunk.text, chunk.finish_reason) == ("a", None)
    assert Chunk.model_validate({"choices": None}).text == ""


@pytest.mark.parametrize(
    ("found", "usage"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "more": 1}, {"prompt_tokens": 3, "completion_tokens": 4}),
        ({"prompt_tokens": -3, "completion_tokens": 4}, None),
        ({"prompt_tokens": 3}, None),
        ("many", None),
        (None, None),
    ],
)
def test_usage_that_cannot_be_read_is_unknown(found, usage) -> None:
    assert read_usage(found) == usage


def test_an_unforeseen_error_is_told_by_type_only() -> None:
    failure = explain(KeyError("canary"))
    assert (failure.found, failure.may_pass) == ("an unforeseen KeyError", False)
    assert explain(failure) is failure


def test_a_connection_that_takes_too_long_is_a_timeout_that_may_pass() -> None:
    import httpx2

    failure = explain(httpx2.ConnectTimeout("canary"))
    assert (failure.timed_out, failure.may_pass) == (True, True)
    assert "canary" not in f"{failure.found}{failure.remedy}"


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("models.localhost", True),
        ("127.0.0.2", True),
        ("[::1]", True),
        ("0.0.0.0", True),  # noqa: S104
        ("localhost.example", False),
        ("192.168.0.7", False),
    ],
)
def test_which_servers_are_on_this_machine(host, own) -> None:
    llm = Settings.isolated(llm__base_url=f"http://{host}:8000/v1").llm
    server = OpenAIServer(llm)
    assert server._loopback is own
    assert server.base_url == f"http://{host}:8000/v1"


# --- the examples ---------------------------------------------------------------------------------------------------


EXAMPLES = ["backends.generators", "backends.generators.openai_generator", "backends.generators.stopping"]
EXAMPLES += ["testing.generators", "testing.model_server"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_the_docstrings_run(name) -> None:
    result = doctest.testmod(importlib.import_module(f"ragtime.{name}"))
    assert (result.failed, result.attempted > 0) == (0, True)


# --- the factory ----------------------------------------------------------------------------------------------------


def test_the_provider_decides() -> None:
    server = Settings.isolated(llm={"model_name": "m", "base_url": "http://localhost:1/v1"})
    assert isinstance(create_generator(server), OpenAIGenerator)
    with override_settings(server.replace(llm__provider="transformers")):
        assert isinstance(create_generator(), TransformersGenerator)


@pytest.mark.parametrize("provider", ["openai", "transformers"])
def test_without_a_model_the_setting_is_named(provider) -> None:
    with pytest.raises(ConfigurationError, match="RAGTIME_LLM__MODEL_NAME"):
        create_generator(Settings.isolated(llm__provider=provider))
