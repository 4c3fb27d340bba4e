"""What the tests of the decision log share: the stub's files, and a look into the journals."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ragtime.storage.conport import ServerDecisionLog

STUB = Path(__file__).with_name("stub_server.py")
REAL_COMMAND = os.environ.get("CONPORT_COMMAND")  # set by `make test-conport`

OpenLog = Callable[..., ServerDecisionLog]


class Stub:
    """The stub's files."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "records.json"
        self.command = (sys.executable, str(STUB), str(self.path))

    def break_at(self, *faults: str) -> None:
        """Let the server fail; see the stub for how."""
        self.path.with_suffix(".faults").write_text("\n".join(faults), encoding="utf-8")

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Return what the server keeps of a kind."""
        return json.loads(self.path.read_text(encoding="utf-8"))[kind] if self.path.exists() else []


def waiting(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of all journals of a log that the server has not got, in their order."""
    entries: dict[str, dict[str, Any]] = {}
    for path in sorted((folder / "conport" / "spool").glob("*.jsonl")):
        for line in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            if "entry" in line:
                entries[line["entry"]["ref"]] = line["entry"]
            elif "sent" in line:
                entries.pop(line["sent"])
    return list(entries.values())


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what ragtime warned of."""
    return [record for record in caplog.records if record.levelname == "WARNING" and record.name.startswith("ragtime")]


def servers() -> list[psutil.Process]:
    """Return the processes that this one has started and that live, but for those of ``multiprocessing``.

    Other tests leave those: its server of forks and its resource tracker live as long as the interpreter.
    """
    living = (one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE)
    return [one for one in living if "from multiprocessing." not in " ".join(one.cmdline())]
