"""Runs of ``ragtime learn`` over outside data, each a command line in a process of its own, kept when it has ended.

Nothing is converted: what differs from the usual is said by options. What came out of a run is one JSON file in
``.bench/learning``, the whole report included; it stands for this run on this code, these packages and this machine.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import psutil

from ragtime.services.learning import LearningReport, read_report
from ragtime.utils.files import write_json, write_text
from ragtime.utils.hashing import content_hash
from tests.benchmarks.harness import ROOT, Bench, machine

THREADS = 2
_KEPT = ROOT / ".bench" / "learning"
_PACKAGES = ("numpy", "sentence-transformers", "torch", "transformers")
_ENDINGS = {0, 3, 4}  # exit codes that are results: promoted, kept, too little data
_TOLD = 12  # last lines of what a process said before it failed


@dataclass(frozen=True, kw_only=True)
class Run:
    """One command line.

    Attributes:
        options: The options, by name; ``{DATA_SET}`` stands for the folder of a data set.
        together: Files that lie in one folder for the run, by their path within the outside data; ``{together}`` in the
            options stands for it.
        settings: Settings that differ from the defaults, by their dotted names.
    """

    options: Mapping[str, str]
    together: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def data_sets(self) -> list[str]:
        """The outside data sets that it needs, sorted."""
        named = [text[1:].partition("}")[0] for text in self.options.values() if text.startswith("{")]
        named += [path.partition("/")[0] for path in self.together]
        return sorted({*named} - {"together"})


@dataclass(frozen=True)
class Outcome:
    """What came out of a run.

    Attributes:
        report: The report.
        seconds: What each stage took, by its name, and the whole command as ``all``.
        peak_bytes: Most memory of the process.
    """

    report: LearningReport
    seconds: Mapping[str, float]
    peak_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "report": self.report.model_dump(mode="json"),
            "seconds": dict(self.seconds),
            "peak_bytes": self.peak_bytes,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        return cls(LearningReport.model_validate(told["report"]), dict(told["seconds"]), int(told["peak_bytes"]))


def measured(run: Run, bench: Bench) -> Outcome:
    """Make a run, or read what came out of it earlier.

    Args:
        run: What to do.
        bench: Names the folder of the data, and says whether what came out earlier counts.

    Returns:
        What came out.

    Raises:
        Unavailable: A data set is not there.
        RuntimeError: The run failed; says with what.
    """
    found = _outcome(json.dumps(asdict(run), sort_keys=True), bench)
    if isinstance(found, RuntimeError):
        raise found
    return found


@functools.cache
def _outcome(told_run: str, bench: Bench) -> Outcome | RuntimeError:
    """Return what came out, or why nothing did: a run of many rows fails once."""
    run = Run(**json.loads(told_run))
    folders = {name: bench.folder(name).resolve() for name in run.data_sets}
    told: dict[str, Any] = {"run": asdict(run), "packages": {name: version(name) for name in _PACKAGES}}
    kept = _KEPT / f"{content_hash([told, _code(), machine(), THREADS])[:16]}.json"
    if kept.exists() and not bench.fresh:
        return Outcome.from_json(json.loads(kept.read_bytes()))
    told |= {"when": datetime.now(UTC).isoformat(timespec="seconds"), "load_before": psutil.getloadavg()[0]}
    try:
        outcome = learn(run, folders)
    except RuntimeError as error:
        return error
    told |= {"load_after": psutil.getloadavg()[0], **machine()}
    write_text(_KEPT.parent / ".gitignore", "*\n")
    write_json(kept, {**told, **outcome.to_json()})
    return outcome


@functools.cache
def _code() -> str:
    """Return the hash of what a run computes with: what is kept of uncommitted code is told apart, too."""
    digest = hashlib.sha256()
    for path in sorted([Path(__file__), *(ROOT / "ragtime").rglob("*.py")]):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def learn(run: Run, folders: Mapping[str, Path]) -> Outcome:
    """Run the command line in an empty folder for data, and read what it says.

    Args:
        run: What to do.
        folders: The folder of each data set.

    Returns:
        What came out.

    Raises:
        RuntimeError: It failed; says with what.
    """
    with tempfile.TemporaryDirectory(prefix="ragtime-bench-") as name:
        place = Path(name)
        for source, target in run.together.items():
            data_set, _, inside = source.partition("/")
            (place / "together").mkdir(exist_ok=True)
            shutil.copyfile(folders[data_set] / inside, place / "together" / target)
        known = {**folders, "together": place / "together"}
        options = [word for name, text in run.options.items() for word in (f"--{name}", _filled(text, known))]
        output, errors = place / "output.json", place / "errors.txt"
        with output.open("wb") as out, errors.open("wb") as err:
            started = datetime.now(UTC)
            process = subprocess.Popen(
                [sys.executable, "-m", "ragtime", "learn", *options, "--json"],
                cwd=place,
                env=_environment(run, place / "data"),
                stdout=out,
                stderr=err,
            )
            _, status, usage = os.wait4(process.pid, 0)
        seconds = (datetime.now(UTC) - started).total_seconds()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in _ENDINGS:
            last = " / ".join(errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_TOLD:])
            raise RuntimeError(f"ragtime learn {' '.join(options)} ended with {process.returncode}: {last}")
        rests = Path(json.loads(output.read_bytes())["html"]).parent
        return Outcome(
            read_report(rests).model_copy(update={"folder": None}),
            {**stage_seconds(rests / "run.json"), "all": seconds},
            usage.ru_maxrss * 1024,
        )


def _filled(text: str, folders: Mapping[str, Path]) -> str:
    """Put folders in the place of their names; braces elsewhere stay."""
    name, brace, rest = text[1:].partition("}")
    return f"{folders[name]}{rest}" if text.startswith("{") and brace else text


def _environment(run: Run, data_dir: Path) -> dict[str, str]:
    threads = {name: str(THREADS) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")}
    settings = {"data_dir": str(data_dir), "conport.mode": "off", "logging.progress": "off", **run.settings}
    named = {f"RAGTIME_{name.replace('.', '__').upper()}": value for name, value in settings.items()}
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("RAGTIME_")}
    return {**clean, **threads, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **named}


def stage_seconds(path: Path) -> dict[str, float]:
    """Return what each stage of a run took.

    Args:
        path: Its ``run.json``.

    Returns:
        The seconds, by stage.
    """
    told = json.loads(path.read_bytes())
    return {str(stage): float(timing["seconds"]) for stage, timing in told.items()}
