"""``python -m tests.benchmarks``: find the areas, make their environments, measure, print and keep."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import venv
from pathlib import Path

from tests.benchmarks.harness import ROOT, Area, Bench, Store, current_commit, measure, show

FOLDER = Path(__file__).parent


def main() -> int:
    """Run the areas asked for; returns 1 when a promise is broken, 2 when there is no such area."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--area", help="the area; without it, all")
    parser.add_argument("--data", type=Path, help="folder of outside data sets; there is no default")
    parser.add_argument("--fresh", action="store_true", help="measure again what stands for this commit")
    parser.add_argument(
        "--inside", action="store_true", help=argparse.SUPPRESS
    )  # already in the area's own environment
    options = parser.parse_args()
    names = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    if options.area and options.area not in names:
        sys.stderr.write(f"There is no area {options.area!r}; there are {', '.join(names)}\n")
        return 2
    if options.data and not options.data.is_dir():
        sys.stderr.write(f"DATA={options.data} is no folder\n")
        return 2
    kept = True
    for name in [options.area] if options.area else names:
        area: Area = importlib.import_module(f"tests.benchmarks.bench_{name}").AREA
        if area.requires and not options.inside:
            kept &= _run_in_own_environment(name, area, options)
        else:
            kept &= _run(name, area, options)
    return 0 if kept else 1


def _run(name: str, area: Area, options: argparse.Namespace) -> bool:
    commit = current_commit()
    bench = Bench(options.data, fresh=options.fresh)
    store = Store(name, area, commit, bench, fresh=options.fresh)
    print(f"{area.title}: {'with data from ' + str(options.data) if options.data else 'without outside data'}")
    measure(area, bench, store.record, tell=print, keep=store.keep)
    return show(area, store.record, commit, bench)


def _run_in_own_environment(name: str, area: Area, options: argparse.Namespace) -> bool:
    """Peers may need what we exclude, or each other's opposite: each area that has any gets its own environment."""
    folder = ROOT / f".venv-bench-{name}"
    python = folder / "bin" / "python"
    pinned = [(ROOT / name).read_text(encoding="utf-8") for name in ("constraints-bench.txt", "pyproject.toml")]
    wanted = "\n".join([*area.requires, *area.extras, *pinned])
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"Setting up {folder.name} …", flush=True)
        venv.create(folder, with_pip=True)
        ours = f".[{','.join(['bench', *area.extras])}]"
        constraints = ["-c", "constraints.txt", "-c", "constraints-bench.txt"]
        subprocess.run(
            [python, "-m", "pip", "install", "-q", *constraints, "-e", ours, *area.requires], cwd=ROOT, check=True
        )
        stamp.write_text(wanted, encoding="utf-8")
    arguments = ["--area", name, *(["--data", str(options.data.resolve())] if options.data else [])]
    arguments += ["--fresh"] if options.fresh else []
    done = subprocess.run([python, "-m", "tests.benchmarks", "--inside", *arguments], cwd=ROOT, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
