"""What importing costs: seconds of processor time of a fresh interpreter, above one that imports nothing."""

from __future__ import annotations

import functools
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile

from tests.benchmarks.harness import Area, Bench, Limit, Row, Unavailable

_CACHE = tempfile.TemporaryDirectory(prefix="ragtime-bench-")  # of compiled modules: the first start is a warm-up


def _milliseconds(_: Bench, statement: str) -> float:
    package = statement.split()[1].partition(".")[0].rstrip(";") if statement else "sys"
    if importlib.util.find_spec(package) is None:
        raise Unavailable(f"{package} is not installed")
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": _CACHE.name, "HF_HUB_OFFLINE": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _row(case: str, who: str, statement: str, package: str | None = None) -> Row:
    return Row(case, who, functools.partial(_milliseconds, statement=statement), "ms", package)


AREA = Area(
    title="Importing",
    about="Processor time of a fresh interpreter that runs one statement; compiled modules cached; 10 rounds in turn.",
    rows=[
        _row("nothing", "Python", ""),
        _row("the package", "ragtime", "import ragtime", "ragtime-gal"),
        _row("the package", "langchain-core", "import langchain_core", "langchain-core"),
        _row("the package", "llama-index-core", "import llama_index.core", "llama-index-core"),
        _row("the package", "haystack-ai", "import haystack", "haystack-ai"),
        _row("the package", "mem0ai", "import mem0", "mem0ai"),
        _row("settings", "ragtime", "from ragtime.config.settings import get_settings; get_settings()", "ragtime-gal"),
        _row("settings", "pydantic-settings", "import pydantic_settings", "pydantic-settings"),
        _row("logging", "ragtime", "from ragtime.monitoring.logging import get_logger; get_logger('x')", "ragtime-gal"),
        _row("logging", "structlog", "import structlog; structlog.get_logger('x')", "structlog"),
    ],
    limits=[
        Limit(
            "import ragtime, above bare Python",
            lambda median: median["the package | ragtime"] - median["nothing | Python"],
            at_most=25,
            unit="ms",
        )
    ],
    requires=["langchain-core", "llama-index-core", "haystack-ai", "mem0ai"],
)
