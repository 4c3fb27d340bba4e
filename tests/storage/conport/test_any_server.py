"""A server that is killed, frozen or ended, be it the stub or the real one; `make test-conport` runs the latter."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from ragtime.records.decisions import ItemRef
from tests.storage.conport.helpers import OpenLog, servers, waiting, warnings_of


def test_a_server_that_is_killed_is_started_again(open_log: OpenLog, server_command: tuple[str, ...]) -> None:
    log = open_log(server_command)
    log.log_decision("before")
    assert log.flush(90)
    (server,) = [each for each in servers() if each.ppid() == os.getpid()]
    server.send_signal(signal.SIGKILL)
    run = log.log_progress("after")
    log.update_progress(run, status="DONE")
    assert log.flush(90)
    assert [each.summary for each in log.decisions()] == ["before"]
    assert [each.status for each in log.progress()] == ["DONE"]


@pytest.mark.slow
def test_what_a_frozen_server_did_not_get_comes_first_in_the_next_run(
    open_log: OpenLog, server_command: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(server_command)
    log.log_decision("first")
    assert log.flush(90)
    (server,) = [each for each in servers() if each.ppid() == os.getpid()]
    server.send_signal(signal.SIGSTOP)
    second = log.log_decision("second")
    log.link(log.log_pattern("p"), second, "explains")
    log.close(0.2)
    assert not servers()
    (warning,) = warnings_of(caplog)
    assert (vars(warning)["count"], vars(warning)["path"]) == (3, str(tmp_path / "conport" / "spool"))
    assert len(waiting(tmp_path)) == 3

    log = open_log(server_command)
    log.log_decision("third")
    assert log.flush(90)
    found = log.decisions()
    assert [each.summary for each in found] == ["third", "second", "first"]
    (link,) = log.links(found[1].ref)
    assert link.source == ItemRef(kind="system_pattern", id="p")
    assert log.links(second) == [link]  # by the id that another log gave it
    log.close()
    assert [path for path in (tmp_path / "conport" / "spool").iterdir() if path.is_file()] == []


def test_a_server_that_ends_leaves_no_process(open_log: OpenLog, server_command: tuple[str, ...]) -> None:
    log = open_log(server_command)
    log.log_decision("first")
    log.close(90)
    assert not servers()
    assert not [thread for thread in threading.enumerate() if thread.name == "ragtime-conport"]
