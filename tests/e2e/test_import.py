"""Importing costs nothing and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_OBSERVED = """
    import json, logging, os, signal, sys, threading, warnings

    happened = []

    PROCESS = {"os.putenv", "os.unsetenv", "os.chdir", "subprocess.Popen", "os.fork"}
    FILES = {"os.mkdir", "os.rename", "os.remove", "os.symlink", "shutil.rmtree", "os.truncate"}
    WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def observe(event, arguments):
        if event.startswith("socket.") or event in PROCESS:
            happened.append(event)
        elif event in FILES:
            happened.append(f"{event} {arguments[0]}")
        elif event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (flags or 0) & WRITING
            if writes and str(path) != os.devnull:
                happened.append(f"writes {path}")

    def loggers():
        yield "root", logging.root
        for name, logger in logging.root.manager.loggerDict.items():
            if name.startswith("ragtime") and isinstance(logger, logging.Logger):
                yield name, logger

    def state():
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
        return {
            "handlers": sorted(f"{name} {each}" for name, logger in loggers() for each in logger.handlers),
            "log filters": sorted(f"{name} {each}" for name, logger in loggers() for each in logger.filters),
            "levels": sorted(f"{name} {logger.level}" for name, logger in loggers() if logger.level),
            "logger class": str(logging.getLoggerClass()),
            "record factory": str(logging.getLogRecordFactory()),
            "disabled": logging.root.manager.disable,
            "warning filters": [str(each) for each in warnings.filters],
            "environment": dict(os.environ),
            "directory": os.getcwd(),
            "files": sorted(os.listdir(".")),
            "threads": threading.active_count(),
            "hooks": [str(sys.excepthook), str(sys.displayhook), str(threading.excepthook)],
            "signals": [str(signal.getsignal(number)) for number in signals],
            "recursion": sys.getrecursionlimit(),
        }

    import importlib, pkgutil  # what the observer itself needs
    before = state()
    sys.addaudithook(observe)
    import ragtime
    names = [module.name for module in pkgutil.walk_packages(ragtime.__path__, "ragtime.")]
    of_pytest = ("__main__", "fixtures")
    names = [name for name in names if not name.endswith(of_pytest) and "store_conformance." not in name]
    for name in names:
        importlib.import_module(name)
    after = state()
    changed = {key: [before[key], after[key]] for key in before if before[key] != after[key]}
    print(json.dumps({"modules": len(names), "happened": happened, "changed": changed}), file=sys.__stderr__)
"""


def test_importing_every_module_changes_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_OBSERVED)],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.stdout == ""
    told = json.loads(done.stderr)
    assert told.pop("modules") > 20
    assert told == {"happened": [], "changed": {}}


def test_the_observer_sees_what_it_is_there_for(tmp_path: Path) -> None:
    """The check above can fail: a module with side effects is found out."""
    (tmp_path / "ragtime").mkdir()
    (tmp_path / "ragtime" / "__init__.py").write_text(
        "import logging, os, socket, warnings\n"
        "logging.basicConfig(); logging.getLogger('ragtime').setLevel(10); warnings.simplefilter('ignore')\n"
        "os.environ['X'] = '1'; open('made.txt', 'w').close(); socket.socket().close()\n"
    )
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_OBSERVED)],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    told = json.loads(done.stderr)
    assert set(told["changed"]) == {"handlers", "levels", "warning filters", "environment", "files"}
    assert {event.split()[0] for event in told["happened"]} >= {"os.putenv", "writes", "socket.__new__"}


@pytest.mark.parametrize("statement", ["import ragtime", "import ragtime.errors", "import ragtime.protocols"])
def test_nothing_from_outside_the_standard_library_is_loaded(statement: str) -> None:
    code = f"""
import sys
known = set(sys.modules)
{statement}
roots = {{name.partition('.')[0] for name in set(sys.modules) - known}}
print(sorted(roots - set(sys.stdlib_module_names) - {{'ragtime'}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_heavy_packages_are_imported_inside_functions_only() -> None:
    code = """
import importlib, pkgutil, sys
import ragtime
for module in pkgutil.walk_packages(ragtime.__path__, "ragtime."):
    if not module.name.endswith(("__main__", "fixtures")) and "store_conformance." not in module.name:
        importlib.import_module(module.name)
heavy = "torch transformers sentence_transformers peft pandas datasets openai mcp matplotlib scipy numpy".split()
print(sorted(set(heavy) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
