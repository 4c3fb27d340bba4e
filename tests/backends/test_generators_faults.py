"""Whatever a server does: a typed error within the time limit, or a successful retry."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import threading
import time
import traceback

import pytest

from ragtime.backends.generators import OpenAIGenerator
from ragtime.config.settings import Settings
from ragtime.errors import BackendCancelledError, BackendError, BackendTimeoutError
from ragtime.testing import Fault, LocalModelServer
from tests.backends.asking import MESSAGES, WAYS, agenerate, astream, generate, stream

ANSWER = "canary of the answer, long enough to be cut in the middle of a word"
LIMIT = 1.0
BOUND = 10.0  # only proves that there is one; the machine may be slow
STREAMED = {stream, astream}


class Sleeps:
    """A clock that only its own sleep moves, and a record of the pauses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def make(server: LocalModelServer, sleeps: Sleeps | None = None, **llm) -> OpenAIGenerator:
    settings = Settings.isolated(llm={"timeout_seconds": 60, "api_key": "sk-canary-key", **llm})
    seams = {"clock": sleeps.clock, "sleep": sleeps.sleep} if sleeps else {}
    return OpenAIGenerator(settings, base_url=server.base_url, model_name="m", **seams)


def failure_of(ask, generator, **options) -> BackendError:
    start = time.monotonic()
    with pytest.raises(BackendError) as caught:
        ask(generator, **options)
    assert time.monotonic() - start < BOUND
    told = "".join(traceback.format_exception(caught.value))
    assert "canary" not in told
    assert "reset it" not in told
    assert "Model 'm' at http://127.0.0.1:" in str(caught.value)
    assert "; " in str(caught.value)  # what was found; what to do
    assert caught.value.__context__ is None  # a chain would keep what the texts leave out
    return caught.value


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("kind", ["stall", "stall_mid_body", "drip"])
def test_a_server_that_does_not_finish_meets_the_time_limit(ask, kind) -> None:
    with LocalModelServer(answer=ANSWER, faults=[kind]) as server:
        error = failure_of(ask, make(server, timeout_seconds=LIMIT))
        assert isinstance(error, BackendTimeoutError)
        assert "no complete answer within 1 seconds" in str(error)


PASSING = ["html", "broken_json", "wrong_shape", "close", "status"]
PASSING += [Fault("status", status=status) for status in (408, 409, 429, 503)]


@pytest.mark.parametrize(
    ("ask", "fault"),
    [*itertools.product(WAYS, PASSING), (generate, "truncate"), (agenerate, "truncate")],  # pieces of streams are out
)
def test_what_may_pass_is_tried_again(ask, fault, caplog) -> None:
    with LocalModelServer(answer=ANSWER, faults=[fault]) as server:
        sleeps = Sleeps()
        assert ask(make(server, sleeps)) == ANSWER
        assert len(server.requests) == 2
    assert [0.25 <= pause <= 0.5 for pause in sleeps.pauses] == [True]
    (event,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert (event.getMessage(), vars(event)["retry"]) == ("Request tried again", 1)


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("html", "check that base_url"),
        ("broken_json", "check that base_url"),
        ("wrong_shape", "another shape"),
        ("close", "the connection failed"),
        ("status", "HTTP status 500"),
    ],
)
def test_what_does_not_pass_ends_in_an_error_with_the_number_of_tries(ask, fault, told) -> None:
    if fault == "html" and ask in STREAMED:
        told = "cut off before its end"
    with LocalModelServer(answer=ANSWER, faults=[fault] * 3) as server:
        error = failure_of(ask, make(server, Sleeps()))
        assert told in str(error)
        assert "after 3 tries" in str(error)
        assert len(server.requests) == 3


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize(
    ("status", "details", "told"),
    [
        (400, {}, "takes no such request"),
        (400, {"code": "context_length_exceeded", "param": "messages"}, "context_length_exceeded (messages); send"),
        (400, {"code": "canary", "param": "canary", "message": "canary"}, "HTTP status 400; "),
        (401, {"code": "invalid_api_key"}, "api_key"),
        (403, {}, "may not use this model"),
        (404, {}, "ends like the server's own"),
        (307, {}, "redirects are not followed"),
        (418, {}, "takes no such request"),
        (429, {"code": "insufficient_quota"}, "no credit left"),
    ],
)
def test_what_cannot_pass_is_not_tried_again(ask, status, details, told) -> None:
    fault = Fault("status", status=status, error=details)
    with LocalModelServer(answer=ANSWER, faults=[fault, fault, fault]) as server:
        assert told in str(failure_of(ask, make(server)))
        assert len(server.requests) == (2 if status == 400 and ask in STREAMED else 1)  # once without stream_options


@pytest.mark.parametrize("ask", WAYS)
def test_an_empty_answer_is_an_error(ask) -> None:
    with LocalModelServer(faults=["empty"]) as server:
        assert "an empty answer" in str(failure_of(ask, make(server)))


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize(
    ("reason", "told"),
    [("length", "raise max_tokens"), ("content_filter", "refused"), ("tool_calls", "a call of a tool")],
)
def test_an_empty_answer_says_why(ask, reason, told) -> None:
    with LocalModelServer(answer="", finish_reason=reason) as server:
        assert told in str(failure_of(ask, make(server)))


@pytest.mark.parametrize("ask", WAYS)
def test_an_answer_that_is_all_stop_text_is_an_error(ask) -> None:
    with LocalModelServer(answer="END of it") as server:
        assert "begins with a stop text" in str(failure_of(ask, make(server), stop=["END"]))


@pytest.mark.parametrize("ask", WAYS)
def test_no_server_at_all(ask) -> None:
    with LocalModelServer() as server:
        generator = make(server, Sleeps())
    assert "the connection failed (ConnectError)" in str(failure_of(ask, generator))


@pytest.mark.parametrize("reader", ["stream", "astream"])
def test_nothing_is_asked_again_once_a_piece_is_out(reader) -> None:
    async def pieces() -> None:
        async for piece in generator.astream(MESSAGES):
            read.append(piece)  # noqa: PERF401 - the pieces before the failure count

    read: list[str] = []
    with LocalModelServer(answer=ANSWER, faults=["truncate"]) as server:
        generator = make(server)
        with pytest.raises(BackendError, match="connection failed"):
            if reader == "astream":
                asyncio.run(pieces())
            for piece in generator.stream(MESSAGES):
                read.append(piece)  # noqa: PERF402
        assert len(server.requests) == 1
    assert read
    assert ANSWER.startswith("".join(read))


# --- pauses ---------------------------------------------------------------------------------------------------------


def test_pauses_grow_and_are_the_same_for_the_same_seed_and_request() -> None:
    def pauses(seed: int, question: str) -> list[float]:
        sleeps = Sleeps()
        settings = Settings.isolated(seed=seed, llm={"max_retries": 6})
        with LocalModelServer(faults=["status"] * 6) as server:
            generator = OpenAIGenerator(
                settings, base_url=server.base_url, model_name="m", clock=sleeps.clock, sleep=sleeps.sleep
            )
            generator.generate([{"role": "user", "content": question}])
        return sleeps.pauses

    first = pauses(1, "a")
    assert first == pauses(1, "a")
    assert len({tuple(first), tuple(pauses(2, "a")), tuple(pauses(1, "b"))}) == 3
    longest = [0.5, 1, 2, 4, 8, 8]
    assert all(most / 2 <= pause <= most for pause, most in zip(first, longest, strict=True))


def test_the_servers_own_pause_is_honoured() -> None:
    sleeps = Sleeps()
    faults = [Fault("status", status=429, retry_after="3"), Fault("status", status=503, retry_after="0")]
    with LocalModelServer(answer=ANSWER, faults=faults) as server:
        assert generate(make(server, sleeps)) == ANSWER
    assert sleeps.pauses == [3.0, 0.0]


@pytest.mark.parametrize("ask", WAYS)
def test_a_pause_beyond_the_time_limit_is_not_waited_for(ask) -> None:
    with LocalModelServer(faults=[Fault("status", status=429, retry_after="3600")]) as server:
        sleeps = Sleeps()
        assert "HTTP status 429; slow down" in str(failure_of(ask, make(server, sleeps)))
        assert (sleeps.pauses, len(server.requests)) == ([], 1)


# --- stopping -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("kind", ["stall", "stall_mid_body", "status"])
def test_a_cancel_signal_stops_the_work(ask, kind) -> None:
    cancel = threading.Event()
    timer = threading.Timer(0.2, cancel.set)
    fault = Fault("status", retry_after="30") if kind == "status" else kind
    with LocalModelServer(answer=ANSWER, faults=[fault]) as server:
        generator = make(server)
        timer.start()
        assert isinstance(failure_of_cancel(ask, generator, cancel), BackendCancelledError)
        timer.join()


def failure_of_cancel(ask, generator, cancel) -> BaseException:
    start = time.monotonic()
    with pytest.raises(BackendCancelledError, match="cancelled by the caller") as caught:
        ask(generator, cancel=cancel)
    assert time.monotonic() - start < BOUND
    return caught.value


@pytest.mark.parametrize("ask", WAYS)
def test_a_signal_set_beforehand_sends_nothing(ask) -> None:
    cancel = threading.Event()
    cancel.set()
    with LocalModelServer() as server:
        failure_of_cancel(ask, make(server), cancel)
        assert server.requests == []


def test_cancelling_a_task_closes_the_connection() -> None:
    async def ask_and_leave() -> None:
        task = asyncio.ensure_future(make(server).agenerate(MESSAGES))
        while not server.requests:  # noqa: ASYNC110 - filled by another thread
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with LocalModelServer(faults=[Fault("stall", seconds=0.5)]) as server:
        asyncio.run(ask_and_leave())
        wait_until_closed(server)


@pytest.mark.parametrize("how", ["stream", "astream", "lost"])
def test_closing_a_stream_closes_the_connection_and_is_no_failure(how, caplog) -> None:
    async def read_one() -> None:
        pieces = generator.astream(MESSAGES)
        assert await anext(pieces) == "canary "
        await pieces.aclose()

    caplog.set_level(logging.INFO, logger="ragtime")
    with LocalModelServer(answer=ANSWER, faults=[Fault("stall_mid_body", seconds=0.5)]) as server:
        generator = make(server)
        start = time.monotonic()
        if how == "astream":
            asyncio.run(read_one())
        else:
            pieces = generator.stream(MESSAGES)
            assert next(pieces) == "canary "
            if how == "stream":
                pieces.close()
            del pieces
            gc.collect()
        assert time.monotonic() - start < BOUND
        wait_until_closed(server)
    (end,) = [record for record in caplog.records if record.name.startswith("ragtime")]
    assert (end.levelname, vars(end)["closed"]) == ("INFO", True)


def wait_until_closed(server: LocalModelServer) -> None:
    for _ in itertools.takewhile(lambda _: server.open_connections, range(500)):
        time.sleep(0.01)
    assert server.open_connections == 0


def test_a_stream_that_is_never_read_does_nothing() -> None:
    with LocalModelServer() as server:
        make(server).stream(MESSAGES)
        make(server).astream(MESSAGES)
        assert server.requests == []


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    with LocalModelServer(answer=ANSWER, faults=["stall", None, "drip"]) as server:
        for ask in (generate, stream, agenerate):
            try:
                ask(make(server, timeout_seconds=LIMIT))
            except BackendTimeoutError:
                continue
    assert set(threading.enumerate()) == before


# --- streams of other servers ---------------------------------------------------------------------------------------


def streamed_by(*events: str, sleeps: Sleeps) -> OpenAIGenerator:
    import httpx2

    body = "".join(f"data: {event}\n\n" for event in events)

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, text=body, headers={"content-type": "text/event-stream"})

    return OpenAIGenerator(
        Settings.isolated(),
        base_url="http://127.0.0.1:1/v1",
        model_name="m",
        http_client=lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(answer)),
        clock=sleeps.clock,
        sleep=sleeps.sleep,
    )


PIECE = '{"choices": [{"index": 0, "delta": {"content": "canary\\u2028 text"}}]}'
END = '{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'


@pytest.mark.parametrize("ask", [stream, astream])
@pytest.mark.parametrize("tail", [("[DONE]",), (), ('{"broken',), ("7",), ('{"error": {"message": "late"}}',)])
def test_what_comes_after_the_finish_reason_spoils_nothing(ask, tail) -> None:
    assert ask(streamed_by(PIECE, END, *tail, sleeps=Sleeps())) == "canary\u2028 text"


@pytest.mark.parametrize("ask", [stream, astream])
@pytest.mark.parametrize(
    ("events", "told", "retries"),
    [
        (['{"error": {"message": "canary"}}'], "the server reported an error", 2),
        (["[DONE]"], "cut off before its end", 2),
        ([PIECE], "cut off before its end", 0),
        ([PIECE, '{"error": {"message": "canary"}}'], "the server reported an error", 0),
        ([PIECE, "{"], "no JSON", 0),
        (['{"choices": [{"index": 0, "delta": "canary"}]}'], r"another shape (choices.0.delta: model_type)", 2),
    ],
)
def test_a_stream_that_breaks_off(ask, events, told, retries) -> None:
    sleeps = Sleeps()
    assert told in str(failure_of(ask, streamed_by(*events, sleeps=sleeps)))
    assert len(sleeps.pauses) == retries
