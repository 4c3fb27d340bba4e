"""log_operation: start, end once, failure."""

from __future__ import annotations

import logging

import pytest

from ragtime.monitoring.logging import get_logger
from ragtime.monitoring.operations import log_operation


def test_start_at_debug_and_end_once_at_info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    times = iter([10.0, 12.5])
    with log_operation(get_logger("app"), "load", clock=lambda: next(times), folder="f") as operation:
        operation.add(count=3)
    start, end = caplog.records
    assert (start.levelname, start.getMessage()) == ("DEBUG", "load started")
    assert (end.levelname, end.getMessage()) == ("INFO", "load finished")
    told = vars(end)
    assert (told["operation"], told["folder"], told["count"], told["seconds"]) == ("load", "f", 3, 2.5)


@pytest.mark.parametrize("error", [ValueError("document text"), KeyboardInterrupt()])
def test_a_failure_is_logged_by_type_and_raised(caplog: pytest.LogCaptureFixture, error: BaseException) -> None:
    with pytest.raises(type(error)), log_operation(get_logger("app"), "load"):
        raise error
    (failure,) = caplog.records
    assert (failure.levelname, failure.getMessage()) == ("ERROR", "load failed")
    assert vars(failure)["error"] == type(error).__name__
    assert "document text" not in str(vars(failure))


def test_the_call_site_is_the_blocks_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(KeyError), log_operation(get_logger("app"), "load"):
        raise KeyError
    with log_operation(get_logger("app"), "load"):
        pass
    assert {record.filename for record in caplog.records} == {"test_operations.py"}


def test_an_end_by_choice_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def rows():
        with log_operation(get_logger("app"), "read"):
            yield from range(3)

    reader = rows()
    next(reader)
    reader.close()
    with pytest.raises(SystemExit), log_operation(get_logger("app"), "run"):
        raise SystemExit(0)
    assert [record.getMessage() for record in caplog.records] == ["read finished", "run finished"]
    assert all(vars(record)["stopped"] for record in caplog.records)


def test_a_look_up_ends_at_a_lower_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with log_operation(get_logger("app"), "look", level=logging.DEBUG):
        pass
    assert {record.levelname for record in caplog.records} == {"DEBUG"}
