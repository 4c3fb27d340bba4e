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
