"""A Context Portal server that hangs: a run neither waits nor stops, and what was not sent is kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragtime.storage.conport import ServerDecisionLog, StdioServer
from tests.services.training_data_gen.real_sources import generator_of, real_sources

STUB = Path(__file__).parents[2] / "storage" / "conport" / "stub_server.py"


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[ServerDecisionLog]:
    pytest.importorskip("mcp")
    records = tmp_path / "records.json"
    records.with_suffix(".faults").write_text("always hang log_decision\n", encoding="utf-8")
    server = StdioServer((sys.executable, str(STUB), str(records)))
    log = ServerDecisionLog(server, tmp_path / "conport", workspace_id=str(tmp_path), timeout_seconds=300.0)
    yield log
    log.close(0)


def test_a_run_does_not_wait_for_a_server_that_hangs(tmp_path: Path, hung: ServerDecisionLog) -> None:
    generator = generator_of(tmp_path, real_sources(12), decision_log=hung)
    made = generator.generate_training_data(20, "synthetic")  # would last as long as the timeout, five minutes
    assert len(made) == 20
    hung.close(0)
    spool = (tmp_path / "conport" / "spool").glob("*.jsonl")
    spooled = "\n".join(path.read_text(encoding="utf-8") for path in spool)
    assert "Make 20 examples by synthetic" in spooled
    assert not [example for example in made if json.dumps(example.query) in spooled]
