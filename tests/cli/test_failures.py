"""Failures of operations on standard error: told once, and none that nobody tells is lost."""

from __future__ import annotations

import json
import logging

import pytest

from ragtime.cli import main
from ragtime.cli.failures import failures_told_once
from ragtime.monitoring.logging import configure_logging, get_logger
from ragtime.monitoring.operations import log_operation

_log = get_logger("ragtime.test")


def _fail() -> None:
    with log_operation(_log, "load_corpus"):
        raise ValueError


def _survive() -> None:
    try:
        _fail()
    except ValueError:
        _log.warning("Going on without a corpus")


def test_a_failure_that_ends_the_command_is_left_to_the_command_line(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    configure_logging(format="console", level="WARNING")
    with pytest.raises(ValueError), failures_told_once():  # noqa: PT011 - it says nothing
        _fail()
    assert capsys.readouterr().err == ""
    assert "load_corpus failed" in caplog.text  # handlers that write elsewhere see it
    with pytest.raises(ValueError):  # noqa: PT011 - as above
        _fail()
    assert "load_corpus failed" in capsys.readouterr().err


def test_a_failure_that_was_survived_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(format="console", level="WARNING")
    with failures_told_once():
        _survive()
        _log.error("This is no operation")
    told = capsys.readouterr().err
    assert [text in told for text in ("Going on", "This is no operation", "load_corpus failed")] == [True] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("prompts", "show", "nothing"),
        ("settings", "nothing"),
        ("conversations", "show", "nothing"),
        ("conversations", "import", "nothing.jsonl"),
        ("conversations", "forget", "--conversation", "nothing", "--yes"),
    ],
)
def test_a_program_reads_one_json_object(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    for options in ((), ("--quiet",)):
        with pytest.raises(SystemExit):
            main((*options, *arguments, "--json"))
        out, err = capsys.readouterr()
        assert out == ""
        assert set(json.loads(err)["error"]) == {"type", "message"}
        with pytest.raises(SystemExit):
            main((*options, *arguments))
        assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(SystemExit):
        main(("--log-format", "json", *arguments))
    *events, told = capsys.readouterr().err.splitlines()
    assert told.startswith("ragtime: ")
    assert {json.loads(event)["level"] for event in events} == {"error"}  # asked for as events
    assert logging.getLogger("ragtime.cli.main").level == logging.NOTSET
