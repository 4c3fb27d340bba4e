"""The decision log that the settings ask for."""

from __future__ import annotations

import shlex
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ragtime.config.settings import Settings, override_settings
from ragtime.errors import ConfigurationError
from ragtime.protocols import DecisionLog
from ragtime.storage.conport import (
    HttpServer,
    JsonDecisionLog,
    NullDecisionLog,
    ServerDecisionLog,
    StdioServer,
    open_decision_log,
)
from tests.storage.conport.helpers import Stub

_WITHOUT_MCP = """
import sys
sys.modules["mcp"] = None
from ragtime.config.settings import Settings
from ragtime.errors import MissingExtraError
from ragtime.storage.conport import open_decision_log
open_decision_log(Settings.isolated()).log_decision("the embedded one needs nothing")
try:
    open_decision_log(Settings.isolated(conport__mode="server"))
except MissingExtraError as error:
    print(error)
"""


def test_the_default_is_a_folder_below_the_data(tmp_path: Path) -> None:
    log = open_decision_log(Settings.isolated(data_dir="here"))
    assert isinstance(log, JsonDecisionLog)
    assert log.folder == tmp_path / "here" / "conport"
    with override_settings(data_dir=tmp_path / "there"):
        current = open_decision_log()
    assert isinstance(current, JsonDecisionLog)
    assert current.folder == tmp_path / "there" / "conport"


def test_a_server_of_the_settings(stub: Stub, tmp_path: Path) -> None:
    settings = Settings.isolated(
        conport__mode="server",
        conport__command=shlex.join(stub.command),
        conport__workspace_id="w",
        conport__timeout_seconds=20,
    )
    with closing(open_decision_log(settings)) as log:
        log.log_decision("one")
        assert log.flush()
    assert [row["workspace_id"] for row in stub.rows("decisions")] == ["w"]
    assert (tmp_path / ".ragtime" / "conport" / "server.log").exists()


def test_where_the_server_is(tmp_path: Path) -> None:
    bare = open_decision_log(Settings.isolated(conport__mode="server"))
    assert isinstance(bare, ServerDecisionLog)
    assert bare.workspace_id == str(tmp_path)
    assert bare.server == StdioServer(
        ("conport-mcp", "--mode", "stdio", "--workspace_id", str(tmp_path), "--log-level", "ERROR")
    )
    over_http = open_decision_log(Settings.isolated(conport__mode="server", conport__url="http://127.0.0.1:8000"))
    assert isinstance(over_http, ServerDecisionLog)
    assert over_http.server == HttpServer("http://127.0.0.1:8000")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"conport__command": "x", "conport__url": "http://h"}, "are both set; keep the one"),
        ({"conport__command": "server --key 'canary"}, "is no command line; look for a quote"),
    ],
)
def test_wrong_settings_of_the_server(values: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        open_decision_log(Settings.isolated(conport__mode="server", **values))
    assert "canary" not in str(caught.value)


def test_a_missing_extra_is_named_with_its_command(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", _WITHOUT_MCP], capture_output=True, text=True, check=True)
    assert 'pip install "ragtime-gal[conport]"' in ended.stdout
    assert (tmp_path / ".ragtime" / "conport" / "decisions" / "000001.json").exists()


def test_off_keeps_nothing(tmp_path: Path) -> None:
    log: DecisionLog = open_decision_log(Settings.isolated(conport__mode="off"))
    assert isinstance(log, NullDecisionLog)
    with closing(log):
        decision, run = log.log_decision("one"), log.log_progress("run")
        log.update_progress(run, status="DONE")
        data = log.log_custom_data("c", "k", 1)
        log.link(data, decision, "produced_by")
        log.link(log.log_pattern("p"), run, "seen_in")
        assert log.flush()
        assert log.decisions() == log.progress() == log.custom_data("c") == log.patterns() == log.links(data) == []
    assert list(tmp_path.iterdir()) == []
