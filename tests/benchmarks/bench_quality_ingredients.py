"""What was tried on the way to the recipe: one ingredient at a time, on questions that nothing else uses."""

from __future__ import annotations

import os

from tests.benchmarks.harness import Area, Row
from tests.benchmarks.quality_recipes import INGREDIENTS, START
from tests.benchmarks.quality_rows import OURS, PAIRS, difference_rows, figure_row, score_row
from tests.benchmarks.quality_runs import PAGES, Run

os.environ.setdefault("HF_HUB_OFFLINE", "1")

_UNTUNED = {"untuned": Run(who="untuned", on="dev", pairs=PAIRS)}
_START = {OURS: Run(who="ragtime", recipe=START, on="dev", pairs=PAIRS)}
_TRIED = {
    f"{OURS}, {name}": Run(who="ragtime", recipe=recipe, on="dev", pairs=PAIRS) for name, recipe in INGREDIENTS.items()
}


def _rows() -> list[Row]:
    trained = {**_START, **_TRIED}
    rows = [score_row("nDCG@10 on validation", who, run) for who, run in {**_UNTUNED, **trained}.items()]
    rows += [
        score_row("recall@10 on validation", who, run, "recall@10") for who, run in {**_UNTUNED, **trained}.items()
    ]
    rows += [figure_row("from loaded data to final weights", who, run, "seconds", "s") for who, run in trained.items()]
    pairs = {who: ((_START[OURS], PAGES), (run, PAGES)) for who, run in _TRIED.items()}
    return [*rows, *difference_rows("nDCG@10 on validation above the start", pairs)]


AREA = Area(
    title="Quality, ingredients one by one",
    about="What an ingredient of a recipe adds. The start: 2,048 training questions of retrieval-tldr, one epoch, "
    "batches of 64, temperature 0.05, learning rate 1e-4, nothing else; each ingredient is added to it alone. "
    "Validation: 700 other training questions, about pages that none of the 2,048 is about, to be searched for in "
    "these pages and 1,500 more. Intervals: paired bootstrap (BCa), 95 %; one in twenty leaves out 0 by chance.",
    rows=_rows(),
    extras=("finetune", "offline"),
)
