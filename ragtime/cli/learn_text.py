"""What ``ragtime learn`` says for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ragtime.cli.output import print_line, print_table

if TYPE_CHECKING:
    from ragtime.services.learning import LearningPlan, LearningReport
    from ragtime.services.learning.counting import PlannedSource
    from ragtime.services.learning.estimate import RunEstimate
    from ragtime.services.learning.report import FigureEstimate, HeldOutAccount, MeasuredModel
    from ragtime.services.training_data_gen import GenerationMetrics, StageLedger

__all__ = ["tell_plan", "tell_report"]

_FIGURES = ("ndcg@10", "recall@10", "mrr@10")
_COLUMNS = ("stage", "of", "candidates", "kept", "rejected")
_ROLES: Mapping[str, str] = {"base": "base model", "in_use": "in use", "tuned": "tuned"}
_MINUTE, _HOUR = 60, 3600  # seconds
_GIB, _MIB = 2**30, 2**20


def tell_report(report: LearningReport) -> None:
    """Print what came out of a run: the verdict, the figures, the data, and what to do now."""
    print_line(report.sentence)
    if report.models:
        _tell_figures(report.models)
    if report.decision is not None:
        for reason in (*report.decision.reasons, *report.decision.cautions):
            print_line(reason)
    metrics = report.data.metrics
    print_table(_COLUMNS, [*_rows_of_sources(metrics), *_rows_of_strategies(metrics)])
    pairs = f"{report.data.training_pairs:,} to train on, {report.data.validation_pairs:,} to choose the best step"
    print_line(f"Training pairs: {pairs}")
    if report.data.held_out is not None:
        print_line(_held_out(report.data.held_out))
    for note in report.notes:
        print_line(f"Note: {note}")
    if report.version is not None:
        print_line(f"Model: {report.version}")
    if report.html_path is not None:
        print_line(f"Report: {report.html_path}")
    if report.next_step is not None:
        print_line(f"To use it, set: {report.next_step}")


def _tell_figures(models: Iterable[MeasuredModel]) -> None:
    measured = list(models)
    columns = [f"{_ROLES[model.role]}: {model.name}" for model in measured]
    rows = [
        [name, *(_figure(model.figures.get(name)) for model in measured)]
        for name in _FIGURES
        if any(name in model.figures for model in measured)
    ]
    rows += [
        [f"general {name}", *(_figure(model.general.get(name)) for model in measured)]
        for name in _FIGURES[:1]
        if any(name in model.general for model in measured)
    ]
    print_table(["figure", *columns], rows)


def _figure(figure: FigureEstimate | None) -> str:
    if figure is None:
        return ""
    interval = "" if figure.low is None or figure.high is None else f" [{figure.low:.4f}, {figure.high:.4f}]"
    return f"{figure.value:.4f}{interval}"


def _rows_of_sources(metrics: GenerationMetrics) -> Iterator[list[str]]:
    for stage in metrics.sources:
        yield ["read", stage.strategy, f"{stage.candidates:,}", f"{stage.kept:,}", _reasons(stage.rejected)]


def _rows_of_strategies(metrics: GenerationMetrics) -> Iterator[list[str]]:
    """Tell what became of the candidates of each strategy, all stages together."""
    by_strategy: dict[str, list[StageLedger]] = {}
    for stage in metrics.stages:
        by_strategy.setdefault(stage.strategy, []).append(stage)
    for strategy, stages in by_strategy.items():
        fallen: Counter[str] = Counter()
        for stage in stages:
            fallen.update(stage.rejected)
        yield ["make", strategy, f"{stages[0].candidates:,}", f"{stages[-1].kept:,}", _reasons(fallen)]


def _reasons(rejected: Mapping[str, int]) -> str:
    return "; ".join(f"{number:,} × {reason}" for reason, number in sorted(rejected.items(), key=_frequent))


def _frequent(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


def _held_out(account: HeldOutAccount) -> str:
    return (
        f"Questions of the gate: {account.questions:,} ({account.name}), {account.stated:,} with stated answers, "
        f"over {account.passages:,} passages"
    )


def tell_plan(plan: LearningPlan) -> None:
    """Print what a run would do."""
    print_line(plan.sentence)
    _tell_sources(plan.sources)
    print_table(_COLUMNS, _rows_of_strategies(plan.metrics))
    print_table(
        ["needed to begin", "there would be", "minimum"],
        [
            ["training pairs", f"{plan.training_pairs:,}", f"{plan.min_training_pairs:,}"],
            ["held-out questions", f"{plan.held_out_questions:,}", f"{plan.min_held_out_questions:,}"],
        ],
    )
    print_line(f"Passages that are searched: {plan.passages:,}")
    if plan.estimate is not None:
        print_line(
            f"Training: {plan.steps:,} steps of {plan.batch_size:,} pairs, epochs: {plan.epochs:,}, strategy: "
            f"{plan.strategy}"
        )
        print_line(f"Start from: {plan.base_model}")
        print_line(f"Compare with: {plan.base_model if plan.in_use is None else plan.in_use}")
        _tell_estimate(plan.estimate)
    for note in plan.notes:
        print_line(f"Note: {note}")
    for what, place in plan.places.items():
        print_line(f"Would write {what} to: {place}")
    print_line("This was a dry run: nothing was written or trained")


def _tell_sources(sources: Iterable[PlannedSource]) -> None:
    rows: list[list[str]] = []
    for source in sources:
        rows.append([source.kind, f"{source.records:,}", f"{source.usable:,}", "", ""])
        for rejected in source.rejected:
            more = rejected.count - len(rejected.where)
            where = "; ".join(rejected.where) + (f" and {more:,} more" if more and rejected.where else "")
            rows.append([source.kind, "", "", f"{rejected.count:,} × {rejected.reason}", where])
    print_table(["source", "records", "usable", "rejected", "where"], rows)


def _tell_estimate(estimate: RunEstimate) -> None:
    low, high = _duration(estimate.seconds_low), _duration(estimate.seconds_high)
    print_line(f"Time: about {_duration(estimate.seconds)}, likely {low} to {high}")
    device = "" if estimate.device_bytes is None else f", and {_size(estimate.device_bytes)} on the GPU"
    print_line(f"Memory: about {_size(estimate.memory_bytes)}{device}")
    print_line(f"How that was estimated: {estimate.basis}")


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{max(1, round(seconds))} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds / _HOUR:.1f} h"


def _size(count: int) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"
