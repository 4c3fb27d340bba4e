"""A decision log on a real MCP server: the stub beside this file, or the command that CONPORT_COMMAND names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragtime.storage.conport import ServerDecisionLog, StdioServer
from tests.storage.conport.helpers import REAL_COMMAND, OpenLog, Stub


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path)


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[OpenLog]:
    """Opens logs of one folder; what a test leaves open is closed."""
    opened: list[ServerDecisionLog] = []

    def make(command: tuple[str, ...], **options: Any) -> ServerDecisionLog:
        given = {"workspace_id": str(tmp_path), "retry_seconds": 0.05, "timeout_seconds": 30.0, **options}
        opened.append(ServerDecisionLog(StdioServer(command), tmp_path / "conport", **given))
        return opened[-1]

    yield make
    for log in opened:
        log.close(0)


@pytest.fixture
def server_command(stub: Stub, tmp_path: Path) -> tuple[str, ...]:
    """The stub, or the real server for a workspace of the test's own."""
    if REAL_COMMAND is None:
        return stub.command
    return REAL_COMMAND, "--mode", "stdio", "--workspace_id", str(tmp_path), "--log-level", "ERROR"
