"""The full 6,817 training questions: the trainer of sentence-transformers, and our recipe. Takes about an hour."""

from __future__ import annotations

import os
from typing import get_args

from tests.benchmarks.harness import Area, Limit, Row
from tests.benchmarks.quality_measures import FIGURES
from tests.benchmarks.quality_recipes import RECIPE_FOR_ALL
from tests.benchmarks.quality_rows import OF, OURS, PAIRS, STOCK, Group, difference_rows, figure_row, score_row
from tests.benchmarks.quality_runs import GENERAL, PAGES, Run

os.environ.setdefault("HF_HUB_OFFLINE", "1")

_UNTUNED = Run(who="untuned", general=True, pairs=PAIRS)
_RUNS = {
    STOCK: Run(who="sentence-transformers", questions="all", general=True, pairs=PAIRS),
    OURS: Run(who="ragtime", recipe=RECIPE_FOR_ALL, questions="all", general=True, pairs=PAIRS),
}
_SECONDS = "from loaded data to final weights"
_QUESTIONS = {"all": "all test questions", "unseen": "test questions about unseen pages"}


def _rows() -> list[Row]:
    rows: list[Row] = []
    for group in get_args(Group):
        for figure in FIGURES:
            case = f"{figure.replace('ndcg', 'nDCG')}, {_QUESTIONS[group]}"
            rows += [score_row(case, who, run, figure, group=group) for who, run in _RUNS.items()]
    rows += [figure_row(_SECONDS, who, run, "seconds", "s") for who, run in _RUNS.items()]
    for group in get_args(Group):
        pair = {OURS: ((_RUNS[STOCK], PAGES), (_RUNS[OURS], PAGES))}
        rows += difference_rows(f"nDCG@10 above {STOCK}, {_QUESTIONS[group]}", pair, group=group)
    pairs = {who: ((_UNTUNED, GENERAL), (run, GENERAL)) for who, run in _RUNS.items()}
    return [*rows, *difference_rows("general check, nDCG@10 above untuned", pairs, p_value=True)]


def _slower(median: dict[str, float]) -> float:
    return median[f"{_SECONDS}{OF} | {OURS}"] / median[f"{_SECONDS}{OF} | {STOCK}"]


AREA = Area(
    title="Quality, all training questions",
    about="As the table of quality, with all 6,817 training questions of retrieval-tldr instead of 2,048.",
    rows=_rows(),
    limits=[Limit(f"{_SECONDS}, × {STOCK}", _slower, at_most=1, unit="×")],
    extras=("finetune", "offline"),
)
