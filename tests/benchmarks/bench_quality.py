"""How well a tuned MiniLM finds, beside BM25 and the trainer of sentence-transformers, and what it has forgotten.

``PAIRS=192 make bench AREA=quality DATA=folder`` tries the code: all is so small that the figures say nothing. What was
tried on the way to the recipe is the area ``quality_ingredients``, and training on all questions ``quality_all``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import get_args

from tests.benchmarks.harness import Area, Limit, Row
from tests.benchmarks.quality_measures import FIGURES, Figure
from tests.benchmarks.quality_recipe import Recipe
from tests.benchmarks.quality_recipes import DEFAULTS, HALF, RECIPE, STRATEGIES
from tests.benchmarks.quality_rows import OF, OURS, PAIRS, STOCK, Group, difference_rows, figure_row, score_row
from tests.benchmarks.quality_runs import EXACT, GENERAL, INT8, PAGES, Run

os.environ.setdefault("HF_HUB_OFFLINE", "1")

_UNTUNED, _BM25 = "untuned", "BM25"
_DEFAULTS, _HALF = f"{OURS}, defaults", f"{OURS}, half of the time"

# --- the runs -------------------------------------------------------------------------------------------------------

_OWN = Run(who="ragtime", recipe=RECIPE, general=True, pairs=PAIRS)
_RUNS = {
    _UNTUNED: Run(who="untuned", general=True, pairs=PAIRS),
    _BM25: Run(who="BM25", pairs=PAIRS),
    STOCK: Run(who="sentence-transformers", general=True, pairs=PAIRS),
    _DEFAULTS: replace(_OWN, recipe=DEFAULTS, eight_bits=True),
    OURS: _OWN,
    _HALF: replace(_OWN, recipe=HALF),
}
_TRAINED = {who: run for who, run in _RUNS.items() if who not in {_UNTUNED, _BM25}}
_BY_STRATEGY = {
    f"{OURS}, {name}": replace(_RUNS[_DEFAULTS], gpu=True)  # without a GPU the same run
    if name == "full"
    else Run(who="ragtime", recipe=Recipe(config=config), eight_bits=name == "quantized", gpu=True, pairs=PAIRS)
    for name, config in STRATEGIES.items()
}
_FULL, _QUANTIZED = _BY_STRATEGY[f"{OURS}, full"], _BY_STRATEGY[f"{OURS}, quantized"]
_BITS = {
    f"{OURS}, full": (_FULL, EXACT),
    f"{OURS}, full, rounded to int8 after training": (_FULL, INT8),
    f"{OURS}, quantized, int8 in training": (_QUANTIZED, INT8),
}

# --- the rows -------------------------------------------------------------------------------------------------------

_NAMES: Mapping[Figure, str] = {"ndcg@10": "nDCG@10", "recall@10": "recall@10"}
_QUESTIONS: Mapping[Group, str] = {"all": "all test questions", "unseen": "test questions about unseen pages"}
_SECONDS = "from loaded data to final weights"
_CHECK = "general check, nDCG@10"
_CHECK_GAIN = "general check, nDCG@10 above untuned"
_STRATEGIES = "strategies at their defaults"
_ROUNDED = f"{_STRATEGIES}, nDCG@10 in float32"


def _gain(peer: str, group: Group) -> str:
    return f"nDCG@10 above {peer}, {_QUESTIONS[group]}"


def _rows() -> list[Row]:
    rows: list[Row] = []
    for group in get_args(Group):
        for figure in FIGURES:
            case = f"{_NAMES[figure]}, {_QUESTIONS[group]}"
            rows += [score_row(case, who, run, figure, group=group) for who, run in _RUNS.items()]
    rows += [figure_row(_SECONDS, who, run, "seconds", "s") for who, run in _TRAINED.items()]
    for group in get_args(Group):
        for peer in (STOCK, _BM25):
            pairs = {who: ((_RUNS[peer], PAGES), (_RUNS[who], PAGES)) for who in (OURS, _HALF)}
            rows += difference_rows(_gain(peer, group), pairs, group=group)
    rows += [score_row(_CHECK, who, run, what=GENERAL) for who, run in _RUNS.items() if run.general]
    pairs = {who: ((_RUNS[_UNTUNED], GENERAL), (run, GENERAL)) for who, run in _TRAINED.items()}
    rows += difference_rows(_CHECK_GAIN, pairs, p_value=True)
    for figure in FIGURES:
        case = f"{_STRATEGIES}, {_NAMES[figure]}"
        rows += [score_row(case, who, run, figure) for who, run in _BY_STRATEGY.items()]
    rows += [figure_row(f"{_STRATEGIES}, {_SECONDS}", who, run, "seconds", "s") for who, run in _BY_STRATEGY.items()]
    rows += [score_row(_ROUNDED, who, run, what=what) for who, (run, what) in _BITS.items()]
    rounded = {who: ((_FULL, EXACT), pair) for who, pair in _BITS.items() if pair != (_FULL, EXACT)}
    return [*rows, *difference_rows(f"{_ROUNDED} above {OURS}, full", rounded)]


# --- the promises ---------------------------------------------------------------------------------------------------

_Medians = dict[str, float]


def _value(case: str, who: str = OURS) -> Callable[[_Medians], float]:
    return lambda median: median[f"{case}{OF} | {who}"]


def _ratio(case: str, who: str, other: str) -> Callable[[_Medians], float]:
    return lambda median: median[f"{case}{OF} | {who}"] / median[f"{case}{OF} | {other}"]


def _limits() -> list[Limit]:
    gains = [(_gain(peer, group), least) for peer, least in ((STOCK, 4), (_BM25, 2)) for group in get_args(Group)]
    return [
        *(Limit(case, _value(case), at_least=least, unit="points") for case, least in gains),
        *(
            Limit(f"{_SECONDS}, {who}, × {STOCK}", _ratio(_SECONDS, who, STOCK), at_most=most, unit="×")
            for who, most in ((OURS, 1.0), (_HALF, 0.5))
        ),
        Limit("general check: p-value of a fall", _value(f"{_CHECK_GAIN}: p-value of a fall"), at_least=0.05),
    ]


AREA = Area(
    title="Quality",
    about="all-MiniLM-L6-v2 tuned on 2,048 training questions of retrieval-tldr, on the CPU, two threads; what it "
    "finds for the 1,374 test questions among 6,650 pages, 1,062 of them about pages that no training question is "
    "about. No test question is used in training or selection. Time is that from loaded data to final weights, with "
    "all that is made of the pages, validation and interpolation. sentence-transformers: its trainer at its defaults, "
    "one epoch, batches of 64, learning rate 5e-5. ragtime: the recipe of quality_recipes.py, whose numbers were "
    "chosen on other training questions (quality_ingredients); its training sees the texts of all pages that are "
    "searched, those of unseen pages included, but no question about them. BM25: that of ragtime, Lucene's variant "
    "over stems, k1 1.2, b 0.75. General check: conversations-mtrag, the last turn of 319 conversations among 995 "
    "passages; one half of the questions chooses the place between base and tuned weights where the check falls, the "
    "other half is reported. Strategies: each at its defaults, a tenth of the data held out, on a GPU where one is at "
    "hand. Search is exact, in bfloat16, but where float32 is named. Intervals: paired bootstrap (BCa), 95 %; "
    "p-values: paired permutation test, one-sided.",
    rows=_rows(),
    limits=_limits(),
    extras=("finetune", "offline"),
)
