"""What a benchmark area is made of, how it is measured, and where its figures are kept.

An area is a module ``bench_NAME.py`` in this folder with an :class:`Area` called ``AREA``. All its rows are sampled in
turn, round by round, so that a machine that slows down slows all of them. Figures are kept by commit in
``docs/benchmarks/NAME.json``; a row that stands there for the current commit is not measured again, so that a long
table can be completed over days.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ragtime.utils.files import write_json, write_text

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "benchmarks"
_KEPT_COMMITS = 20


class Unavailable(Exception):  # noqa: N818 - says that there is nothing to measure, not that something failed
    """A row cannot be measured here: a peer is not installed, or outside data were not given."""


@dataclass(frozen=True)
class Bench:
    """What a row's sampler may use.

    Attributes:
        data: Folder of outside data sets, ``None`` when none was given.
        fresh: Whether everything is measured again; rows that keep something of their own heed it.
    """

    data: Path | None = None
    fresh: bool = False

    def has(self, name: str) -> bool:
        """Tell whether an outside data set is there."""
        return self.data is not None and (self.data / name).is_dir()

    def folder(self, name: str) -> Path:
        """Return the folder of an outside data set; rows that need one are left out when it is not there."""
        if self.data is None or not self.has(name):
            raise Unavailable(f"needs the data set {name}: give DATA=folder")
        return self.data / name


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        case: What is measured.
        who: Who is measured: ``ragtime`` or a peer.
        sample: Measures once and returns the figure.
        unit: Unit of the figure.
        package: Distribution whose version is printed; ``None`` means none.
        rounds: How often to measure.
        warm_up: How often to measure before that, uncounted.
        data: Name of the outside data set that it uses when there is one; ``None`` when it uses none.
    """

    case: str
    who: str
    sample: Callable[[Bench], float]
    unit: str
    package: str | None = None
    rounds: int = 10
    warm_up: int = 1
    data: str | None = None

    @property
    def key(self) -> str:
        """Identifies the row within its table."""
        return f"{self.case} | {self.who}"

    def kept_as(self, bench: Bench) -> str:
        """Identify the figures of the row: those on outside data are others than those on the packaged sample."""
        if self.data is None:
            return self.key
        return f"{self.key} | {self.data if bench.has(self.data) else 'sample'}"


@dataclass(frozen=True)
class Limit:
    """A promise about the medians of an area.

    Attributes:
        text: The promise, such as ``import ragtime, above bare Python``.
        of: Computes the figure from the medians by row key; a row that was not measured is a ``KeyError``.
        at_most: Upper bound of the figure; ``None`` means none.
        at_least: Lower bound of the figure; ``None`` means none.
        unit: Unit of the figure.
    """

    text: str
    of: Callable[[dict[str, float]], float]
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""

    def check(self, medians: dict[str, float]) -> tuple[str, bool | None]:
        """Return the promise with its figure, and whether it is kept; ``None`` when rows are missing."""
        bound = f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"
        try:
            figure = self.of(medians)
        except KeyError as missing:
            return f"{self.text} {bound} {self.unit}: not measured ({missing.args[0]})", None
        except ZeroDivisionError:
            return f"{self.text} {bound} {self.unit}: cannot be computed, a median is 0", False
        kept = (self.at_most is None or figure <= self.at_most) and (self.at_least is None or figure >= self.at_least)
        return f"{self.text} {bound} {self.unit}: {figure:.3g} {self.unit} {'✓' if kept else '✗ missed'}", kept


@dataclass(frozen=True)
class Area:
    """A table of the benchmarks.

    Attributes:
        title: Heading of the table.
        about: What is measured on which data, in a sentence or two.
        rows: The lines; rows of one case are compared with each other.
        limits: The promises.
        requires: Distributions of the peers, pinned in ``constraints-bench.txt``; they go into an environment of the
            area's own.
        extras: Extras of ragtime that the area needs there.
    """

    title: str
    about: str
    rows: Sequence[Row]
    limits: Sequence[Limit] = ()
    requires: Sequence[str] = ()
    extras: Sequence[str] = ()


@dataclass
class Record:
    """The figures of one commit, as they are kept.

    Attributes:
        rows: Figures by what identifies them.
        failed: What went wrong, by row.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def of(self, area: Area, bench: Bench) -> dict[str, dict[str, Any]]:
        """Return the figures of the table's rows, on the data that are there, by the rows' keys."""
        return {row.key: self.rows[row.kept_as(bench)] for row in area.rows if row.kept_as(bench) in self.rows}


def measure(area: Area, bench: Bench, record: Record, *, tell: Callable[[str], None], keep: Callable[[], None]) -> None:
    """Sample every row of `area` that `record` does not hold yet, in turn, and add the figures to it.

    A row that fails costs only itself; it is told, and counted as failed.
    """
    samples: dict[str, list[float]] = {}
    given_up: set[str] = set()
    for number in range(max((row.rounds + row.warm_up for row in area.rows), default=0)):
        for row in area.rows:
            name = row.kept_as(bench)
            if name in record.rows or name in given_up or number >= row.rounds + row.warm_up:
                continue
            try:
                figure = row.sample(bench)
            except Unavailable as reason:
                given_up.add(name)
                tell(f"left out: {row.key}: {reason}")
                continue
            except Exception as error:  # noqa: BLE001 - a peer may fail in any way; the others are still measured
                given_up.add(name)
                record.failed[row.key] = f"{type(error).__name__}: {error}"
                tell(f"failed: {row.key}: {record.failed[row.key]}")
                continue
            if number >= row.warm_up:
                samples.setdefault(name, []).append(figure)
            if number + 1 == row.rounds + row.warm_up:
                record.rows[name] = _figures(row, samples.pop(name))
                tell(f"measured: {row.key}: {record.rows[name]['median']:.4g} {row.unit}")
                keep()


def _figures(row: Row, samples: list[float]) -> dict[str, Any]:
    return {
        "case": row.case,
        "who": row.who,
        "version": metadata.version(row.package) if row.package else None,
        "unit": row.unit,
        "median": statistics.median(samples),
        "min": min(samples),
        "max": max(samples),
        "samples": len(samples),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": round(psutil.getloadavg()[0], 2),
        **machine(),
    }


def machine() -> dict[str, Any]:
    """Describe the machine: processor, cores, memory in GiB, Python."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(named, platform.processor() or platform.machine()),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
    }


# --- keeping by commit ----------------------------------------------------------------------------------------------


def current_commit() -> str | None:
    """Return the last commit that changed more than the documentation; ``None`` with uncommitted changes."""
    rest = ["--", ".", ":(exclude)docs"]
    try:
        changed = _git("status", "--porcelain", *rest)
        return None if changed else _git("log", "-1", "--format=%h", "--abbrev=12", *rest) or None
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


class Store:
    """The kept figures of one area: ``NAME.json`` for machines, ``NAME.md`` for readers."""

    def __init__(
        self,
        name: str,
        area: Area,
        commit: str | None,
        bench: Bench,
        *,
        folder: Path = RESULTS,
        fresh: bool = False,
    ) -> None:
        """Open the file of area `name` at `commit`; `fresh` forgets what stands there for it."""
        self._area, self._commit, self._bench = area, commit, bench
        self._json, self._page = folder / f"{name}.json", folder / f"{name}.md"
        self._commits: dict[str, Any] = {}
        if self._json.exists():
            self._commits = json.loads(self._json.read_text(encoding="utf-8"))["commits"]
        kept = self._commits.get(commit, {}) if commit else {}
        again = {row.kept_as(bench) for row in area.rows} if fresh else set()
        self.record = Record({key: row for key, row in kept.items() if key not in again})

    def keep(self) -> None:
        """Write the figures, unless they belong to no commit."""
        if self._commit is None:
            return
        self._commits[self._commit] = self.record.rows
        newest = sorted(
            self._commits, key=lambda sha: max((row["when"] for row in self._commits[sha].values()), default="")
        )
        self._commits = {sha: self._commits[sha] for sha in newest[-_KEPT_COMMITS:]}
        write_json(self._json, {"title": self._area.title, "about": self._area.about, "commits": self._commits})
        write_text(self._page, self._markdown())

    def _markdown(self) -> str:
        cells = [
            ["case", "who", "median", "min to max", "× ragtime"],
            ["---"] * 5,
            *_cells(self._area, self.record.of(self._area, self._bench)),
        ]
        rows = [f"| {' | '.join(row)} |" for row in cells]
        limits = [
            f"- {limit.check(_medians(self.record.of(self._area, self._bench)))[0]}" for limit in self._area.limits
        ]
        where = sorted({_where(row) for row in self.record.rows.values()})
        parts = [
            f"# {self._area.title}",
            "",
            self._area.about,
            "",
            *rows,
            "",
            *limits,
            "",
            f"Commit {self._commit}; {'; '.join(where)}.",
        ]
        return "\n".join(parts) + "\n"


def _where(row: dict[str, Any]) -> str:
    return f"{row['cpu']}, {row['cores']} cores, {row['memory_gib']} GiB, Python {row['python']}"


def _medians(rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    return {key: row["median"] for key, row in rows.items()}


def _cells(area: Area, rows: dict[str, dict[str, Any]]) -> Iterable[list[str]]:
    ours = {row.case: rows[row.key]["median"] for row in area.rows if row.who == "ragtime" and row.key in rows}
    for row in area.rows:
        figures = rows.get(row.key)
        who = f"{row.who} {figures['version']}" if figures and figures["version"] and row.who != "ragtime" else row.who
        if figures is None:
            yield [row.case, who, "–", "–", "–"]
            continue
        base = ours.get(row.case)
        ratio = f"{figures['median'] / base:.3g}" if base else "–"
        spread = f"{figures['min']:.4g} to {figures['max']:.4g}"
        yield [row.case, who, f"{figures['median']:.4g} {row.unit}", spread, ratio]


def show(area: Area, record: Record, commit: str | None, bench: Bench) -> bool:
    """Print the table; returns whether no row failed and every promise that could be checked is kept."""
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    table = Table(title=area.title, title_justify="left", caption=area.about, caption_justify="left")
    for column in ("case", "who", "median", "min to max", "× ragtime"):
        table.add_column(column, justify="left" if column in {"case", "who"} else "right")
    rows = record.of(area, bench)
    for cells in _cells(area, rows):
        table.add_row(*map(Text, cells))
    console.print(table)
    checks = [limit.check(_medians(rows)) for limit in area.limits]
    for told in [f"limit: {told}" for told, _ in checks] + [
        f"failed: {key}: {why}" for key, why in record.failed.items()
    ]:
        console.print(told, markup=False)
    here = machine()
    console.print(f"machine: {_where(here)}; load {psutil.getloadavg()[0]:.2f}", markup=False)
    kept = f"kept for commit {commit}" if commit else "not kept: there are uncommitted changes"
    console.print(kept, markup=False)
    return not record.failed and all(result is not False for _, result in checks)
