"""OpenAIGenerator against the local server: answers, options, usage, dialects, settings, logs."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest

from ragtime.backends.generators import OpenAIGenerator
from ragtime.config.settings import Settings, override_settings
from ragtime.errors import BackendError, ConfigurationError, InvalidArgumentError, MissingExtraError
from ragtime.protocols import AsyncTextGenerator, TextGenerator
from ragtime.testing import Fault, LocalModelServer
from tests.backends.asking import MESSAGES, WAYS, generate, stream

ANSWER = "Hold the button for five seconds."
REJECTED = Fault("status", status=400, error={"message": "Extra inputs are not permitted"})


def make(server: LocalModelServer, **options) -> OpenAIGenerator:
    return OpenAIGenerator(Settings.isolated(), base_url=server.base_url, model_name="m", **options)


@pytest.mark.parametrize("ask", WAYS)
def test_every_way_gives_the_same_answer_and_usage(ask) -> None:
    used = []
    with LocalModelServer(answer=ANSWER) as server:
        assert ask(make(server), on_usage=used.append) == ANSWER
    assert used == [{"prompt_tokens": 6, "completion_tokens": 7}]


def test_it_is_what_the_protocols_describe() -> None:
    with LocalModelServer() as server:
        assert isinstance(make(server), TextGenerator)
        assert isinstance(make(server), AsyncTextGenerator)


def test_a_stream_comes_in_pieces() -> None:
    with LocalModelServer(answer="one two three") as server:
        assert list(make(server).stream(MESSAGES)) == ["one ", "two ", "three"]


def test_options_reach_the_server() -> None:
    with LocalModelServer() as server:
        generate(make(server), max_tokens=5, temperature=0, seed=7, stop=list("abcdef"))
        body = server.requests[0].body
    assert body == {
        "model": "m",
        "messages": MESSAGES,
        "max_tokens": 5,
        "temperature": 0.0,
        "seed": 7,
        "stop": ["a", "b", "c", "d"],
    }


def test_what_is_left_open_comes_from_the_settings() -> None:
    with LocalModelServer() as server:
        settings = Settings.isolated(
            llm={"base_url": server.base_url, "model_name": "n", "max_tokens": 9, "temperature": 0.5, "api_key": "k-1"}
        )
        with override_settings(settings):
            stream(OpenAIGenerator())
        request = server.requests[0]
    assert request.headers["authorization"] == "Bearer k-1"
    assert {name: request.body[name] for name in ("model", "max_tokens", "temperature")} == {
        "model": "n",
        "max_tokens": 9,
        "temperature": 0.5,
    }


def test_a_server_without_keys_gets_a_placeholder_never_one_of_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-of-the-environment")
    with LocalModelServer() as server:
        generate(make(server))
        assert server.requests[0].headers["authorization"] == "Bearer none"


def test_proxies_of_the_environment_are_not_used_for_this_machine(monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with LocalModelServer(answer=ANSWER) as server:
        assert generate(make(server)) == ANSWER


@pytest.mark.parametrize("ask", WAYS)
def test_stop_texts_hold_even_when_the_server_ignores_them(ask) -> None:
    with LocalModelServer(answer="one two three") as server:
        assert ask(make(server), stop=["o t", "ee"]) == "one tw"


def test_a_blocking_call_works_inside_a_running_event_loop() -> None:
    async def ask() -> str:
        return make(server).generate(MESSAGES)

    with LocalModelServer(answer=ANSWER) as server:
        assert asyncio.run(ask()) == ANSWER


def test_many_threads_and_tasks_share_one_generator() -> None:
    from concurrent.futures import ThreadPoolExecutor

    async def ask_all() -> list[str]:
        return await asyncio.gather(*(generator.agenerate(MESSAGES) for _ in range(8)))

    with LocalModelServer(answer=ANSWER) as server:
        generator = make(server)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: generate(generator), range(8))) == {ANSWER}
        assert set(asyncio.run(ask_all())) == {ANSWER}


def test_lone_surrogates_become_replacement_characters(caplog) -> None:
    with LocalModelServer() as server:
        make(server).generate([{"role": "user", "content": "a\ud800b \ud83d\ude00"}])
        assert server.requests[0].body["messages"][0]["content"] == "a\ufffdb 😀"
    assert "Lone surrogates in a message replaced by U+FFFD" in caplog.messages


def test_an_http_client_of_ones_own_is_used() -> None:
    import httpx2

    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(200, json={"choices": [{"message": {"content": "mine"}}]})

    generator = OpenAIGenerator(
        Settings.isolated(),
        base_url="https://models.example/v1",
        model_name="m",
        http_client=lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
    )
    assert generate(generator) == "mine"
    assert asked[0].startswith("https://models.example/v1")


# --- dialects -------------------------------------------------------------------------------------------------------


def test_a_server_that_takes_no_stream_options_is_remembered() -> None:
    rejection = Fault("status", status=400, error={"message": "unknown field"}, fields=("stream_options",))
    with LocalModelServer(answer=ANSWER, faults=[rejection]) as server:
        generator, used = make(server), []
        assert stream(generator, on_usage=used.append) == ANSWER
        assert stream(generator, on_usage=used.append) == ANSWER
        asked = ["stream_options" in request.body for request in server.requests]
    assert (used, asked) == ([], [True, False, False])


def test_a_request_rejected_for_another_reason_says_nothing_about_stream_options() -> None:
    with LocalModelServer(answer=ANSWER, faults=[REJECTED, REJECTED]) as server:
        generator = make(server)
        with pytest.raises(BackendError, match="HTTP status 400"):
            stream(generator)
        assert stream(generator) == ANSWER
        assert ["stream_options" in request.body for request in server.requests] == [True, False, True]


def test_a_server_that_wants_max_completion_tokens_gets_them() -> None:
    told = {"message": "Use 'max_completion_tokens' instead.", "param": "max_tokens", "code": "unsupported_parameter"}
    with LocalModelServer(answer=ANSWER, faults=[Fault("status", status=400, error=told)]) as server:
        generator = make(server)
        assert [generate(generator), stream(generator)] == [ANSWER, ANSWER]
        assert ["max_completion_tokens" in request.body for request in server.requests] == [False, True, True]


# --- settings and arguments -----------------------------------------------------------------------------------------


def test_a_missing_model_or_server_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"llm\.model_name"):
        OpenAIGenerator(Settings.isolated(), base_url="http://localhost:1/v1")
    with pytest.raises(ConfigurationError, match=r"llm\.base_url"):
        OpenAIGenerator(Settings.isolated(), model_name="m")
    assert "api.openai.com" in OpenAIGenerator(Settings.isolated(), model_name="m", api_key="k")._who


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model_name": "  "}, "must not be blank"),
        ({"base_url": "localhost:11434"}, "absolute http"),
        ({"base_url": "http://user:canary@host/v1"}, "must not hold a user name"),
    ],
)
def test_wrong_arguments_of_the_constructor(options, told) -> None:
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        OpenAIGenerator(Settings.isolated(), **{"base_url": "http://localhost:1/v1", "model_name": "m", **options})
    assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("key", ["käse", "two\nlines", " "])
def test_a_key_that_cannot_be_sent_is_refused_without_being_told(key) -> None:
    with pytest.raises(InvalidArgumentError, match="must be one line of ASCII") as caught:
        OpenAIGenerator(Settings.isolated(), base_url="http://localhost:1/v1", model_name="m", api_key=key)
    assert key == " " or key not in str(caught.value)


@pytest.mark.parametrize(
    ("messages", "options", "told"),
    [
        ([], {}, "0 messages"),
        ([{"role": "user", "content": " \n"}], {}, "without any"),
        ("How?", {}, "found str"),
        ({"role": "user", "content": "x"}, {}, "found dict"),
        ([7], {}, "Message 0 must be a mapping"),
        ([{"role": "usr", "content": "x"}], {}, "did you mean 'user'"),
        ([{"role": "the canary text in the wrong field", "content": "x"}], {}, "found str"),
        ([{"role": None, "content": "x"}], {}, "found NoneType"),
        ([{"role": "user", "content": None}], {}, "text as content, found NoneType"),
        (MESSAGES, {"max_tokens": 0}, "max_tokens"),
        (MESSAGES, {"max_tokens": True}, "max_tokens"),
        (MESSAGES, {"temperature": 2.1}, "temperature"),
        (MESSAGES, {"temperature": float("nan")}, "temperature"),
        (MESSAGES, {"temperature": "hot"}, "temperature"),
        (MESSAGES, {"seed": -1}, "seed"),
        (MESSAGES, {"seed": 1.5}, "seed"),
        (MESSAGES, {"stop": "END"}, r"stop=\[text\]"),
        (MESSAGES, {"stop": [""]}, "at least one character"),
        (MESSAGES, {"stop": [3]}, "at least one character"),
    ],
)
@pytest.mark.parametrize("way", ["generate", "stream", "agenerate", "astream"])
def test_wrong_arguments_are_refused_before_anything_is_sent(way, messages, options, told) -> None:
    generator = OpenAIGenerator(Settings.isolated(), base_url="http://127.0.0.1:1/v1", model_name="m")
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        call = getattr(generator, way)(messages, **options)
        asyncio.run(call)
    assert "canary" not in str(caught.value)


def test_the_missing_package_is_named_with_its_extra(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "openai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"ragtime-gal\[llm\]"):
        OpenAIGenerator(Settings.isolated(), base_url="http://localhost:1/v1", model_name="m")


# --- logs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", WAYS)
def test_each_call_logs_its_start_and_its_end_once_and_nothing_of_the_content(ask, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with LocalModelServer(answer="canary of the answer") as server:
        ask(make(server, api_key="sk-canary-of-the-key"))
    events = [record for record in caplog.records if record.name.startswith("ragtime")]
    assert [(event.levelname, event.getMessage()) for event in events if event.levelname == "INFO"] == [
        ("INFO", f"{ask.__name__} finished")
    ]
    end = vars(events[-1])
    assert (end["operation"], end["provider"], end["model"], end["retries"]) == (ask.__name__, "openai", "m", 0)
    assert (end["prompt_tokens"], end["completion_tokens"], end["finish_reason"]) == (6, 4, "stop")
    assert end["seconds"] >= 0
    told = " ".join(str(vars(record)) for record in caplog.records)
    assert "canary" not in told
    assert "reset it" not in told


def test_a_failure_is_logged_with_its_type(caplog) -> None:
    with LocalModelServer(faults=["empty"]) as server, pytest.raises(BackendError):
        generate(make(server))
    (event,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (event.getMessage(), vars(event)["error"]) == ("generate failed", "BackendError")
