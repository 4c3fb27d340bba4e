"""``python -m tests.torture``: kill, fuzz and count, for as long as there is time."""

from __future__ import annotations

import argparse
import importlib
import secrets
import sys
import time
import traceback
from dataclasses import astuple
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.torture.harness import Counts, Timer

FOLDER = Path(__file__).parent


def main() -> int:
    """Run the areas asked for, each for its share of the time; returns 1 when a promise is broken."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="time in all, shared evenly")
    parser.add_argument("--area", help="the area; without it, all")
    parser.add_argument("--seed", type=int, help="repeats a run; without it, a new one is drawn and printed")
    options = parser.parse_args()
    if options.minutes <= 0:
        sys.stderr.write("MINUTES must be positive\n")
        return 2
    names = sorted(path.stem.removeprefix("torture_") for path in FOLDER.glob("torture_*.py"))
    if options.area and options.area not in names:
        sys.stderr.write(f"There is no area {options.area!r}; there are {', '.join(names)}\n")
        return 2
    chosen = [options.area] if options.area else names
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    table = Table(title=f"Torture, seed {seed}", title_justify="left")
    columns = ("area", "seconds", "moments killed", "inputs tried", "records acknowledged", "records lost", "result")
    for column in columns:
        table.add_column(column, justify="left" if column in {"area", "result"} else "right")
    broken = False
    for name in chosen:
        print(f"{name}: {60 * options.minutes / len(chosen):.0f} s …", flush=True)
        start = time.monotonic()
        counts, result = _run(name, 60 * options.minutes / len(chosen), seed)
        broken |= result != "held"
        table.add_row(name, f"{time.monotonic() - start:.0f}", *(f"{number:,}" for number in astuple(counts)), result)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    return 1 if broken else 0


def _run(name: str, seconds: float, seed: int) -> tuple[Counts, str]:
    try:
        counts: Counts = importlib.import_module(f"tests.torture.torture_{name}").torture(Timer(seconds), seed)
    except Exception:  # noqa: BLE001 - whatever it is, it is a finding; the other areas still get their time
        traceback.print_exc()
        print(f"To repeat: make torture AREA={name} SEED={seed}")
        return Counts(), "BROKEN"
    return counts, "held" if counts.lost == 0 else "LOST RECORDS"


if __name__ == "__main__":
    sys.exit(main())
