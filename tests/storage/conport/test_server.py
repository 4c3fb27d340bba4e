"""The decision log on a server: nobody waits, nothing is lost, nothing is there twice, whatever the server does."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.records.decisions import ItemRef
from ragtime.storage.conport import HttpServer, ServerDecisionLog, StdioServer
from tests.storage.conport.helpers import STUB, OpenLog, Stub, servers, waiting, warnings_of

NEVER = (sys.executable, "-c", "import time; time.sleep(600)")
DEAF = (sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)")
CHATTERS = (sys.executable, "-c", "print('hello', flush=True)\nimport time; time.sleep(600)")
EXITS = (sys.executable, "-c", "import sys; sys.exit('no database')")


def _wait_for(what: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- faults of the server -------------------------------------------------------------------------------------------


_QUICK = {("vanish", "log_decision"), ("garbage", "log_progress"), ("die", "link_conport_items")}
_CASES = [
    pytest.param(fault, tool, marks=[] if (fault, tool) in _QUICK else pytest.mark.slow)
    for fault in ("hang", "lose", "die", "vanish", "garbage")
    for tool in ("log_decision", "log_progress", "link_conport_items")
]


@pytest.mark.parametrize(("fault", "tool"), _CASES)
def test_a_fault_neither_loses_nor_doubles_anything(open_log: OpenLog, stub: Stub, fault: str, tool: str) -> None:
    stub.break_at(f"{fault} {tool}")
    log = open_log(stub.command, timeout_seconds=1.0)
    decision, run = log.log_decision("one"), log.log_progress("run")
    log.link(run, decision, "carries_out")
    log.log_custom_data("TrainingRuns", "r", 1)
    log.update_progress(run, status="DONE", description="run, done")
    assert log.flush(60)
    assert [row["summary"] for row in stub.rows("decisions")] == ["one"]
    assert [row["status"] for row in stub.rows("progress")] == ["DONE"]
    assert [(row["source_item_id"], row["target_item_id"]) for row in stub.rows("links")] == [("1", "1")]
    assert [each.description for each in log.progress()] == ["run, done"]
    assert [row["value"] for row in stub.rows("custom_data")] == [1]


@pytest.mark.parametrize("fault", [pytest.param("lose", marks=pytest.mark.slow), "vanish"])
def test_an_answer_lost_in_one_run_doubles_nothing_in_the_next(
    open_log: OpenLog, stub: Stub, tmp_path: Path, fault: str
) -> None:
    stub.break_at(f"{fault} log_decision", "always die get_decisions")
    log = open_log(stub.command, timeout_seconds=1.0)
    decision = log.log_decision("one")
    log.link(log.log_custom_data("TrainingRuns", "r", 1), decision, "produced_by")
    assert not log.flush(60)
    log.close(0)
    assert [row["summary"] for row in stub.rows("decisions")] == ["one"]
    assert len(waiting(tmp_path)) == 3

    stub.break_at()
    with open_log(stub.command) as log:
        assert log.flush()
    assert [row["summary"] for row in stub.rows("decisions")] == ["one"]
    assert [row["target_item_id"] for row in stub.rows("links")] == ["1"]
    assert waiting(tmp_path) == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("no-such-command-anywhere",), "its command was not found"),
        (EXITS, "could not be started or reached, or ended at once"),
        pytest.param(NEVER, "did not start within 0.3 seconds", marks=pytest.mark.slow),
        pytest.param(CHATTERS, "did not start within 0.3 seconds", marks=pytest.mark.slow),
    ],
)
def test_without_a_server_all_is_kept_and_said_once(
    open_log: OpenLog,
    stub: Stub,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    command: tuple[str, ...],
    reason: str,
) -> None:
    log = open_log(command, start_seconds=0.3 if "sleep" in command[-1] else 30.0, timeout_seconds=0.3)
    for number in range(5):
        log.log_decision(f"decision {number}")
    assert not log.flush(60)
    with pytest.raises(StorageError, match=f"could not be read: .*{reason}"):
        log.decisions()
    log.log_decision("decision 5")
    log.close()
    (warning,) = warnings_of(caplog)
    assert reason in warning.getMessage()
    assert vars(warning)["count"] == 5
    assert [entry["arguments"]["summary"] for entry in waiting(tmp_path)] == [f"decision {n}" for n in range(6)]
    assert not servers()
    if command == EXITS:
        assert "no database" in (tmp_path / "conport" / "server.log").read_text(encoding="utf-8")

    with open_log(stub.command) as log:
        log.log_decision("decision 6")
        assert log.flush()
    assert [row["summary"] for row in stub.rows("decisions")] == [f"decision {number}" for number in range(7)]


def test_the_caller_never_waits_for_a_server_that_hangs(open_log: OpenLog, tmp_path: Path) -> None:
    log = open_log(DEAF, start_seconds=600.0)
    for number in range(50):  # would hang here, and be stopped by the limit of the test
        log.log_custom_data("TrainingRuns", str(number), {"number": number})
    assert not log.flush(0.05)
    log.close(0.05)
    assert len(waiting(tmp_path)) == 50
    assert not servers()


@pytest.mark.slow
def test_a_server_that_reads_nothing_any_more_is_killed(open_log: OpenLog, stub: Stub) -> None:
    stub.break_at("freeze log_decision")
    log = open_log(stub.command, timeout_seconds=2.0)
    log.log_decision("one")
    assert log.flush(60)
    (server,) = [each for each in servers() if each.ppid() == os.getpid()]
    _wait_for(lambda: server.status() == psutil.STATUS_STOPPED)
    log.log_custom_data("c", "k", "x" * 1_000_000)  # far more than a pipe holds
    assert log.flush(60)
    assert [len(row["value"]) for row in stub.rows("custom_data")] == [1_000_000]
    assert not server.is_running()


def test_a_refused_entry_holds_up_no_other_and_is_set_aside_in_the_end(
    open_log: OpenLog, stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stub.break_at("always refuse log_system_pattern")
    for run in range(3):
        with open_log(stub.command) as log:
            if run == 0:
                log.log_pattern("p", description="private words")
            log.log_decision(f"decision {run}")
            log.flush()
    assert [row["summary"] for row in stub.rows("decisions")] == ["decision 0", "decision 1", "decision 2"]
    (path,) = (tmp_path / "conport" / "spool" / "refused").iterdir()
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["entry"]["arguments"]["name"] == "p"
    assert kept["reason"]
    assert waiting(tmp_path) == []
    assert [vars(each).get("path") for each in warnings_of(caplog)][-1] == str(path)
    assert "private words" not in caplog.text
    with open_log(stub.command) as log:
        assert log.flush()
    assert len(warnings_of(caplog)) == 3


def test_a_progress_entry_that_is_not_there_is_not_taken_for_updated(open_log: OpenLog, stub: Stub) -> None:
    log = open_log(stub.command)
    log.update_progress(ItemRef(kind="progress_entry", id="99"), status="DONE")
    log.link(ItemRef(kind="decision", id="of-another-log"), ItemRef(kind="custom_data", id="c:k"), "r")
    assert not log.flush()
    assert stub.rows("links") == []


def test_a_question_that_is_refused_fails_alone(open_log: OpenLog, stub: Stub) -> None:
    stub.break_at("refuse get_decisions", "garbage get_progress")
    log = open_log(stub.command)
    with pytest.raises(StorageError, match="refused to read"):
        log.decisions()
    assert log.progress() == []
    assert log.decisions() == []


@pytest.mark.slow
def test_a_question_that_is_not_answered_fails_and_the_next_is(open_log: OpenLog, stub: Stub) -> None:
    stub.break_at("hang get_decisions")
    log = open_log(stub.command, timeout_seconds=0.5)
    with pytest.raises(StorageError, match=r"gave no answer to get_decisions within 0\.5 seconds"):
        log.decisions()
    log.log_decision("one")
    _wait_for(lambda: log.flush(1))
    assert [each.summary for each in log.decisions()] == ["one"]


# --- the writing process --------------------------------------------------------------------------------------------

_PROGRAM = """
import os, signal, sys, time
from ragtime.storage.conport import ServerDecisionLog, StdioServer
folder, what, *command = sys.argv[1:]
log = ServerDecisionLog(StdioServer(tuple(command)), folder + "/conport", workspace_id="w", timeout_seconds=20)
first = log.log_decision("parent")
if what == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "fork":
    assert log.flush()
    child = os.fork()
    if child == 0:
        second = log.log_decision("child")
        log.link(second, first, "follows")
        assert log.flush()
        log.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    log.log_decision("parent again")
    assert log.flush()
    log.close()
if what == "linger":
    log.close(0)
    if os.fork() == 0:
        time.sleep(600)
if what == "fork and die":
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGKILL)
print("done", flush=True)
"""


def _run(folder: Path, what: str, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "error,ignore:This process:DeprecationWarning"}
    program = [sys.executable, "-c", _PROGRAM, str(folder), what, *command]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, env=environment, check=False)


_FULL_DISK = """
import resource, signal, sys
from ragtime.errors import StorageError
from ragtime.storage.conport import ServerDecisionLog, StdioServer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = ServerDecisionLog(StdioServer(("no-such-command",)), sys.argv[1] + "/conport", workspace_id="w")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
kept = []
try:
    for number in range(20):
        log.log_decision(f"{number} " + 40 * "x")
        kept.append(number)
except StorageError as error:
    assert "File too large" in str(error), error
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.log_decision("after")
log.close()
print(len(kept))
"""


def test_a_full_disk_is_an_error_and_leaves_the_journal_whole(tmp_path: Path) -> None:
    program = [sys.executable, "-c", _FULL_DISK, str(tmp_path)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    kept = int(ended.stdout)
    assert 0 < kept < 20
    summaries = [entry["arguments"]["summary"] for entry in waiting(tmp_path)]
    assert summaries == [*(f"{number} " + 40 * "x" for number in range(kept)), "after"]


def test_what_was_logged_survives_the_death_of_the_process(open_log: OpenLog, stub: Stub, tmp_path: Path) -> None:
    assert _run(tmp_path, "kill", NEVER).returncode == -signal.SIGKILL
    with open_log(stub.command, workspace_id="w") as log:
        log.log_decision("next")
        assert log.flush()
        assert [each.summary for each in log.decisions()] == ["next", "parent"]


_LOGGER = """
import sys, time
from ragtime.storage.conport import ServerDecisionLog, StdioServer
folder, name, *command = sys.argv[1:]
log = ServerDecisionLog(StdioServer(tuple(command)), folder + "/conport", workspace_id="w", timeout_seconds=20)
number = 0
while True:
    decision = log.log_decision(f"{name}-{number}")
    log.link(log.log_progress(f"{name}-{number}"), decision, "carries_out")
    print(f"{name}-{number}", flush=True)
    number += 1
    time.sleep(0.01)
"""


@pytest.mark.slow
def test_kills_at_any_moment_lose_and_double_nothing(open_log: OpenLog, stub: Stub, tmp_path: Path) -> None:
    rng = random.Random(5)  # noqa: S311 - a test
    acknowledged: list[str] = []
    for attempt in range(5):
        program = [sys.executable, "-c", _LOGGER, str(tmp_path), f"run{attempt}", *stub.command]
        with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as logger:
            acknowledged.append(logger.stdout.readline().strip())
            time.sleep(rng.uniform(0.5, 1.5))
            logger.kill()
            acknowledged += logger.stdout.read().split()
    with open_log(stub.command, workspace_id="w") as log:
        assert log.flush(120)
        log.log_decision("last")
        assert log.flush(120)
    summaries = [row["summary"] for row in stub.rows("decisions")]
    assert len(summaries) == len(set(summaries))
    assert set(acknowledged) <= set(summaries)
    for attempt in range(5):
        of_run = [name for name in summaries if name.startswith(f"run{attempt}-")]
        assert of_run == [f"run{attempt}-{number}" for number in range(len(of_run))]
    descriptions = [row["description"].split(" [")[0] for row in stub.rows("progress")]
    assert len(descriptions) == len(set(descriptions))
    assert set(acknowledged) <= set(descriptions)
    links = [(row["source_item_id"], row["target_item_id"]) for row in stub.rows("links")]
    assert len(links) == len(set(links)) >= len(acknowledged)
    assert waiting(tmp_path) == []


def test_a_log_that_is_not_closed_holds_up_no_exit(tmp_path: Path) -> None:
    ended = _run(tmp_path, "", NEVER)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
    assert len(waiting(tmp_path)) == 1


def test_a_child_process_has_a_thread_and_a_server_of_its_own(stub: Stub, tmp_path: Path) -> None:
    ended = _run(tmp_path, "fork", stub.command)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
    assert [row["summary"] for row in stub.rows("decisions")] == ["parent", "child", "parent again"]
    assert [(row["source_item_id"], row["target_item_id"]) for row in stub.rows("links")] == [("2", "1")]
    assert waiting(tmp_path) == []


def test_a_child_that_lives_on_does_not_hold_the_journal(open_log: OpenLog, stub: Stub, tmp_path: Path) -> None:
    program = [sys.executable, "-c", _PROGRAM, str(tmp_path), "fork and die", *NEVER]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        child = int(parent.stdout.readline())
        try:
            parent.wait(30)
            with open_log(stub.command, workspace_id="w") as log:
                assert log.flush()
                assert [each.summary for each in log.decisions()] == ["parent"]
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_two_logs_of_one_folder_leave_each_others_entries_alone(open_log: OpenLog, stub: Stub, tmp_path: Path) -> None:
    hanging = open_log(NEVER)
    hanging.log_decision("of the first")
    with open_log(stub.command) as log:
        log.log_decision("of the second")
        assert log.flush()
    assert [row["summary"] for row in stub.rows("decisions")] == ["of the second"]
    hanging.close(0)
    with open_log(stub.command) as log:
        assert log.flush()
    assert [row["summary"] for row in stub.rows("decisions")] == ["of the second", "of the first"]
    assert waiting(tmp_path) == []


def test_many_threads_log_at_once(open_log: OpenLog, stub: Stub) -> None:
    log = open_log(stub.command)

    def write(thread: int) -> None:
        for number in range(10):
            decision = log.log_decision(f"{thread}-{number}")
            log.link(log.log_custom_data("c", f"{thread}-{number}", number), decision, "produced_by")

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.flush(60)
    summaries = {row["id"]: row["summary"] for row in stub.rows("decisions")}
    assert sorted(summaries.values()) == sorted(f"{thread}-{number}" for thread in range(4) for number in range(10))
    for link in stub.rows("links"):
        assert link["source_item_id"] == f"c:{summaries[int(link['target_item_id'])]}"


def test_a_torn_line_is_cut_off_and_a_damaged_one_is_kept(
    open_log: OpenLog, stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(("no-such-command",))
    for name in ("one", "two", "three"):
        log.log_decision(name)
    log.close()
    (path,) = (tmp_path / "conport" / "spool").glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\0\0\0 secret\n" + lines[2] + lines[1][:40])
    with open_log(stub.command) as log:
        log.log_decision("four")
        assert log.flush()
    assert [row["summary"] for row in stub.rows("decisions")] == ["one", "three", "four"]
    damaged = warnings_of(caplog)[-1]
    assert (vars(damaged)["count"], vars(damaged)["path"]) == (1, str(path))
    assert "secret" not in caplog.text
    assert path.with_suffix(".damaged").exists()


def test_a_spool_that_cannot_be_written_is_a_storage_error(open_log: OpenLog, tmp_path: Path) -> None:
    (tmp_path / "conport").mkdir()
    (tmp_path / "conport" / "spool").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageError, match="Cannot write"):
        open_log(NEVER).log_decision("one")


# --- secrets, logs, HTTP --------------------------------------------------------------------------------------------


def test_no_secret_of_command_or_environment_is_told(
    open_log: OpenLog, stub: Stub, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SERVICE_TOKEN", "canary-environment")
    monkeypatch.setenv("RAGTIME_LLM__API_KEY", "canary-of-ours")
    seen = tmp_path / "environment"
    wrapper = (
        f"import os, sys; open({str(seen)!r}, 'w').write(str(dict(os.environ))); os.execv(sys.argv[1], sys.argv[1:4])"
    )
    command = (sys.executable, "-c", wrapper, *stub.command, "--api-key", "canary-argument")
    with open_log(command) as log:
        log.log_decision("one")
        assert log.flush()
    with open_log((*EXITS, "--api-key", "canary-argument")) as log:
        log.log_decision("two")
        assert not log.flush(30)
    assert "canary-environment" in seen.read_text(encoding="utf-8")
    assert "canary-of-ours" not in seen.read_text(encoding="utf-8")
    told = caplog.text + "".join(str(vars(record)) for record in caplog.records if record.name.startswith("ragtime"))
    told += "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "conport").rglob("*") if path.is_file())
    assert "canary" not in told
    assert "canary" not in repr(StdioServer(command))


def test_the_operations_are_logged(open_log: OpenLog, stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with open_log(stub.command) as log:
        log.log_decision("private words", tags=["t"])
        assert log.flush()
    told = {record.getMessage(): vars(record) for record in caplog.records if record.name.startswith("ragtime")}
    assert list(told) == ["send_decisions finished", "close_decision_log finished"]
    assert (told["send_decisions finished"]["sent"], told["send_decisions finished"]["refused"]) == (1, 0)
    end = told["close_decision_log finished"]
    assert (end["logged"], end["sent"], end["spooled"]) == (1, 1, 0)
    assert "private words" not in caplog.text


@pytest.fixture
def http_server(stub: Stub) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(STUB), str(stub.path), "--http", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:

        def is_up() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        _wait_for(is_up)
        yield f"http://127.0.0.1:{port}"
        server.kill()


@pytest.mark.parametrize("path", ["", "/mcp"])
def test_a_server_is_reached_over_http(
    http_server: str, stub: Stub, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # none between two programs of one machine
    with ServerDecisionLog(HttpServer(http_server + path), tmp_path / "conport", workspace_id="w") as log:
        decision = log.log_decision("one")
        log.link(log.log_custom_data("c", "k", 1), decision, "produced_by")
        assert log.flush(30)
        assert [each.summary for each in log.decisions()] == ["one"]
    assert [row["target_item_id"] for row in stub.rows("links")] == ["1"]


def test_a_call_that_hangs_over_http_is_tried_again(http_server: str, stub: Stub, tmp_path: Path) -> None:
    stub.break_at("hang log_decision", "always hang log_progress")
    log = ServerDecisionLog(
        HttpServer(http_server), tmp_path / "conport", workspace_id="w", timeout_seconds=0.5, retry_seconds=0.05
    )
    log.log_decision("one")
    log.log_progress("two")
    assert not log.flush(60)
    log.close()
    assert [row["summary"] for row in stub.rows("decisions")] == ["one"]
    assert [entry["arguments"]["description"] for entry in waiting(tmp_path)] == ["two"]


def test_nobody_listens_over_http(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = ServerDecisionLog(
        HttpServer("http://127.0.0.1:9"), tmp_path / "conport", workspace_id="w", retry_seconds=0.01
    )
    log.log_decision("one")
    assert not log.flush(60)
    log.close()
    (warning,) = warnings_of(caplog)
    assert (vars(warning)["count"], vars(warning)["server"]) == (1, "127.0.0.1:9")


def test_an_item_of_no_log_is_refused_at_once(open_log: OpenLog, stub: Stub) -> None:
    log = open_log(stub.command)
    with pytest.raises(InvalidArgumentError, match="has no decision 'nonsense'"):
        log.link(ItemRef(kind="decision", id="nonsense"), ItemRef(kind="custom_data", id="c:k"), "r")
