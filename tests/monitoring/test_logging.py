"""get_logger, log_context and configure_logging: fields, levels, call sites, and no effect on the host."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys

import pytest
import structlog

from ragtime.config.settings import override_settings
from ragtime.errors import InvalidArgumentError
from ragtime.monitoring.logging import configure_logging, get_logger, log_context
from ragtime.utils.workers import WorkerPool


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def _json_lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


# --- one event ------------------------------------------------------------------------------------------------------


def test_fields_come_by_extra_and_by_keyword(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("app").info("done", extra={"operation": "generate", "count": 3}, seconds=0.5)
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("app", "INFO", "done")
    assert (record.operation, record.count, record.seconds) == ("generate", 3, 0.5)  # type: ignore[attr-defined]


def test_a_keyword_wins_over_extra(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("app").info("x", extra={"count": 1}, count=2)
    assert caplog.records[0].count == 2  # type: ignore[attr-defined]


def test_names_that_a_record_has_taken_get_an_underscore(caplog: pytest.LogCaptureFixture) -> None:
    taken = {"name": "n", "message": 7, "args": "a", "module": "o", "asctime": "t", "event": "e", "taskName": "k"}
    get_logger("app").info("x", extra=taken)
    get_logger("app").info("x", **taken)
    for record in caplog.records:
        assert record.getMessage() == "x"
        assert {name: vars(record)[f"{name}_"] for name in taken} == taken


@pytest.mark.parametrize(
    ("event", "args", "told"),
    [
        ("plain", (), "plain"),
        ("100% sure", (), "100% sure"),
        ("%s of %d", ("one", 2), "one of 2"),
        ("%(a)s", ({"a": 1},), "1"),
        ("%s", ({},), "{}"),
        ("%d", ("x",), "%d ('x',)"),
        ("too few %s", ("a", "b"), "too few %s ('a', 'b')"),
    ],
)
def test_percent_arguments(caplog: pytest.LogCaptureFixture, event: str, args: tuple[object, ...], told: str) -> None:
    get_logger("app").info(event, *args)
    assert caplog.records[0].getMessage() == told


def test_extra_that_is_no_mapping_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("app").info("x", extra="odd")
    assert caplog.records[0].extra == "odd"  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["debug", "info", "warning", "error", "critical"])
def test_every_level(caplog: pytest.LogCaptureFixture, method: str) -> None:
    getattr(get_logger("app"), method)("x")
    assert caplog.records[0].levelname == method.upper()


def test_levels_by_number(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("app").log(logging.WARNING, "x")
    assert caplog.records[0].levelno == logging.WARNING


def test_the_call_site_is_the_callers(caplog: pytest.LogCaptureFixture) -> None:
    def helper() -> None:
        get_logger("app").warning("x", stacklevel=2)

    log = get_logger("app").bind(a=1)
    log.info("here")
    log.log(logging.INFO, "here")
    helper()
    assert {record.filename for record in caplog.records} == {"test_logging.py"}
    assert {record.funcName for record in caplog.records} == {"test_the_call_site_is_the_callers"}


def test_exceptions(caplog: pytest.LogCaptureFixture) -> None:
    error = ValueError("reason")
    get_logger("app").error("given", exc_info=error)
    get_logger("app").error("none is handled", exc_info=True)
    get_logger("app").error("a triple", exc_info=(None, None, None))
    try:
        raise error
    except ValueError:
        get_logger("app").exception("handled")
        get_logger("app").error("triple", exc_info=sys.exc_info())
    given, none, triple, handled, full = caplog.records
    assert none.exc_info is None
    assert triple.exc_info is None
    for record in (given, handled, full):
        assert record.exc_info
        assert record.exc_info[1] is error
        assert "ValueError: reason" in str(record.exc_text)


def test_the_stack_on_demand(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("app").info("x", stack_info=True)
    assert "test_the_stack_on_demand" in str(caplog.records[0].stack_info)


def test_bound_fields(caplog: pytest.LogCaptureFixture) -> None:
    log = get_logger("app").bind(run="r1")
    log.info("x", step=1)
    log.unbind("run").info("y")
    assert caplog.records[0].run == "r1"  # type: ignore[attr-defined]
    assert not hasattr(caplog.records[1], "run")


def test_what_is_not_enabled_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Untouchable:
        def __str__(self) -> str:
            raise AssertionError

    caplog.set_level(logging.INFO)
    log = get_logger("app")
    assert not log.isEnabledFor(logging.DEBUG)
    log.debug("%s", Untouchable(), extra={"x": Untouchable()})
    assert not caplog.records


def test_secrets_and_content_are_redacted_in_message_fields_and_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise RuntimeError("Bearer abcdef123456 of ann@example.org")
    except RuntimeError:
        get_logger("app").exception("key %s", "sk-abcdef123456", extra={"password": "p", "prompt": "Say hello"})
    (record,) = caplog.records
    told = f"{record.getMessage()} {vars(record)} {record.exc_text}"
    assert record.getMessage() == "key [redacted]"
    for hidden in ("sk-abcdef", "abcdef123456", "ann@example.org", "Say hello"):
        assert hidden not in told.replace(repr(record.exc_info), "")
    assert "9 characters" in told


# --- context --------------------------------------------------------------------------------------------------------


def test_context_is_added_to_every_event_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    with log_context(conversation_id="c1"), log_context(run="r1"):
        get_logger("a").info("x")
        get_logger("b").info("y", run="mine")
    get_logger("a").info("z")
    first, second, third = (vars(record) for record in caplog.records)
    assert (first["conversation_id"], first["run"], second["run"]) == ("c1", "r1", "mine")
    assert "conversation_id" not in third


def test_context_follows_workers_and_tasks(caplog: pytest.LogCaptureFixture) -> None:
    async def task() -> None:
        get_logger("a").info("task")

    with log_context(run="r1"), WorkerPool(1) as pool:
        pool.submit(lambda: get_logger("a").info("worker")).result()
        asyncio.run(task())
    told = [vars(record)["run"] for record in caplog.records if record.name == "a"]
    assert told == ["r1", "r1"]


# --- a quiet library ------------------------------------------------------------------------------------------------


def test_without_configuration_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    root.handlers[:] = []
    get_logger("ragtime.somewhere").error("unheard")
    assert capfd.readouterr() == ("", "")
    assert [type(handler) for handler in logging.getLogger("ragtime").handlers] == [logging.NullHandler]
    get_logger("ragtime.somewhere").error("unheard")
    assert len(logging.getLogger("ragtime").handlers) == 1


def test_the_hosts_structlog_configuration_is_neither_read_nor_changed(caplog: pytest.LogCaptureFixture) -> None:
    def poison(*_: object) -> None:
        raise AssertionError("the host's chain ran")

    before = structlog.get_config()
    structlog.configure(processors=[poison], cache_logger_on_first_use=True)
    try:
        get_logger("app").info("fine", a=1)
        assert structlog.get_config()["processors"] == [poison]
    finally:
        structlog.configure(**before)
    assert caplog.records[0].getMessage() == "fine"


# --- configured -----------------------------------------------------------------------------------------------------


def test_json_lines() -> None:
    stream = io.StringIO()
    configure_logging(format="json", level="INFO", stream=stream)
    get_logger("app").info("done ä", extra={"count": 3, "nested": {"a": [1, None]}})
    get_logger("app").debug("hidden")
    logging.getLogger("foreign").warning("from %s", "elsewhere", extra={"token": "t0ken"})
    first, second = _json_lines(stream)
    assert str(first.pop("timestamp")).endswith("Z")
    assert first == {"event": "done ä", "level": "info", "logger": "app", "count": 3, "nested": {"a": [1, None]}}
    assert (second["event"], second["logger"], second["token"]) == ("from elsewhere", "foreign", "[redacted]")


def test_json_lines_of_exceptions_stacks_and_odd_values() -> None:
    stream = io.StringIO()
    configure_logging(format="json", level="INFO", stream=stream)
    try:
        raise ValueError("user bob@example.org")
    except ValueError:
        get_logger("app").exception("x", stack_info=True, odd=object(), lone="\ud800")
    (line,) = _json_lines(stream)
    assert str(line["exception"]).endswith("ValueError: user [email]")
    assert "test_json_lines_of_exceptions" in str(line["stack"])
    assert line["lone"] == "\ud800"


def test_console_lines_do_not_let_a_value_forge_a_line() -> None:
    stream = io.StringIO()
    configure_logging(format="console", level="INFO", stream=stream)
    get_logger("app").info("first\nforged \x1b[31m", value="a\r\nb\x00")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
    assert "first\\nforged" in stream.getvalue()
    assert "value=a\\r\\nb\\x00" in stream.getvalue()


def test_console_tracebacks_hold_no_local_variables() -> None:
    stream = io.StringIO()
    configure_logging(format="console", level="INFO", stream=stream)
    hidden = f"{'local'}-{'value'}"
    try:
        raise ValueError(len(hidden))
    except ValueError:
        get_logger("app").exception("x")
    assert "ValueError: 11" in stream.getvalue()
    assert hidden not in stream.getvalue()


def test_it_goes_to_what_standard_error_is_by_then(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(format="console", level="INFO")
    get_logger("app").info("heard")
    out, err = capsys.readouterr()
    assert out == ""
    assert "heard" in err


def test_configuring_again_replaces_only_what_was_configured() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    streams = io.StringIO(), io.StringIO()
    for stream in streams:
        configure_logging(format="json", level="INFO", stream=stream)
    get_logger("app").info("x")
    assert streams[0].getvalue() == ""
    assert len(_json_lines(streams[1])) == 1
    assert other in logging.getLogger().handlers


def test_the_settings_decide_what_is_left_open() -> None:
    stream = io.StringIO()
    with override_settings(logging={"format": "json", "level": "ERROR"}):
        configure_logging(stream=stream)
    get_logger("app").warning("hidden")
    get_logger("app").error("shown")
    assert [line["event"] for line in _json_lines(stream)] == ["shown"]


def test_levels_by_name_in_any_case_and_by_number() -> None:
    for level in ("warning", "WARNING", 30):
        configure_logging(format="json", level=level, stream=io.StringIO())
        assert logging.getLogger().level == logging.WARNING


@pytest.mark.parametrize("wrong", [{"level": "LOUD"}, {"format": "xml"}])
def test_wrong_arguments_change_nothing(wrong: dict[str, str]) -> None:
    before = logging.getLogger().handlers[:]
    with pytest.raises(InvalidArgumentError, match=r"LOUD|xml"):
        configure_logging(**{"format": "json", "level": "INFO", **wrong})  # type: ignore[arg-type]
    assert logging.getLogger().handlers == before


# --- whatever a caller passes in ------------------------------------------------------------------------------------


class _BadText:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("event", "args", "fields"),
    [
        (None, (), {}),
        (3, (), {}),
        ("%c", (10**10,), {}),
        ("%d", (float("inf"),), {}),
        ("%s", (_BadText(),), {}),
        ("x", (), {"counts": {("a", "b"): 3, frozenset({1}): 4}}),
        ("x", (), {"type": _BadText, "value": _BadText(), "key": {_BadText(): 1}}),
        ("x", (), {"exc_info": ()}),
        ("x", (), {"getMessage": "boom", "_record": 1, "args": 2, "positional_args": 3}),
        ("x", (), {"extra": {1: 2, None: 3}}),
    ],
)
@pytest.mark.parametrize("style", ["console", "json"])
def test_no_error_escapes_and_no_event_is_lost(
    event, args, fields, style: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    configure_logging(format=style, level="INFO", stream=stream)  # type: ignore[arg-type]
    get_logger("app").info(event, *args, **fields)
    if "extra" not in fields and "exc_info" not in fields:
        logging.getLogger("foreign").info("foreign", extra={f"f_{name}": value for name, value in fields.items()})
        assert "foreign" in stream.getvalue()
    assert stream.getvalue().count("app") >= 1
    assert capsys.readouterr().err == ""


def test_fields_beat_extra_and_both_beat_what_is_bound_or_around(caplog: pytest.LogCaptureFixture) -> None:
    log = get_logger("app").bind(a="bound", b="bound", c="bound")
    with log_context(a="around", d="around", event="e"):
        log.info("x", extra={"b": "extra", "c": "extra", "d": "extra"}, c="field")
    told = vars(caplog.records[0])
    assert [told[name] for name in "abcd"] == ["bound", "extra", "field", "extra"]
    assert told["event_"] == "e"


def test_another_librarys_fields_cannot_pass_for_message_level_or_time() -> None:
    stream = io.StringIO()
    configure_logging(format="json", level="INFO", stream=stream)
    forged = {"event": "other", "level": "gold", "logger": "fake", "timestamp": "never", "exception": "none"}
    logging.getLogger("lib").info("real", extra=forged)
    (line,) = _json_lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("real", "info", "lib")
    assert {name: line[f"{name}_"] for name in forged} == forged


def test_numbers_that_json_does_not_know_become_texts() -> None:
    stream = io.StringIO()
    configure_logging(format="json", level="INFO", stream=stream)
    get_logger("app").info("x", loss=float("nan"), more=[1.0, {"a": float("-inf")}])
    (line,) = _json_lines(stream)
    assert (line["loss"], line["more"]) == ("nan", [1.0, {"a": "-inf"}])


def test_an_event_that_cannot_be_written_is_told_without_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError("disk full")

    configure_logging(format="json", level="INFO", stream=Closed())
    logging.getLogger("lib").error("login with %s", "sk-abcdef123456")
    assert capsys.readouterr().err == "ragtime: an event of lib could not be written (OSError)\n"


def test_an_error_with_something_to_hide_does_not_travel_with_the_record(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise RuntimeError("Bearer abcdef123456")
    except RuntimeError:
        get_logger("app").exception("x")
    try:
        raise RuntimeError("harmless")
    except RuntimeError:
        get_logger("app").exception("x")
    hidden, shown = caplog.records
    assert hidden.exc_info is None
    assert "[redacted]" in str(hidden.exc_text)
    assert shown.exc_info is not None


def test_a_long_error_text_is_digested(caplog: pytest.LogCaptureFixture) -> None:
    document = "patient " * 500
    try:
        raise ValueError(document)
    except ValueError as error:
        get_logger("app").exception("x", error=error)
    (record,) = caplog.records
    assert "patient" not in str(vars(record)).replace("patient_", "")
    assert "4000 characters" in str(record.exc_text)


def test_the_settings_may_warn_while_logging_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_SED", "3")
    code = "from ragtime import configure_logging; configure_logging()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "did you mean 'RAGTIME_SEED'?" in done.stderr


@pytest.mark.parametrize("level", [2.5, True, -5, b"INFO"])
def test_levels_of_another_type_change_nothing(level: object) -> None:
    before = logging.getLogger().handlers[:]
    with pytest.raises(InvalidArgumentError):
        configure_logging(format="json", level=level)  # type: ignore[arg-type]
    assert logging.getLogger().handlers == before


def test_control_characters_of_any_kind_are_escaped_on_the_console() -> None:
    stream = io.StringIO()
    configure_logging(format="console", level="INFO", stream=stream)
    get_logger("app").info("a\x9b31m\u2028b\u202ec", extra={"k\nFORGED": 1})
    assert stream.getvalue().count("\n") == 1
    assert not set("\x9b\u2028\u202e") & set(stream.getvalue())
