"""The variables of a report's page: its figures brought into rows, and its drawings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ragtime.services.learning.charts import (
    Estimate,
    draw_estimates,
    draw_flow,
    draw_losses,
    draw_questions,
    draw_share,
    draw_validation,
)
from ragtime.services.learning.charts.svg import decimal, signed
from ragtime.services.learning.report import FigureEstimate, LearningReport, MeasuredModel, TrainingAccount
from ragtime.services.model_finetuner import Decision
from ragtime.utils.templates import TrustedHTML

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["page_variables"]

_DRAWN = 4  # figures; all of them are in the table
_ROLES = {"base": "Base", "in_use": "In use", "tuned": "Tuned"}
_FIGURES = {"auc": "AUC", "map": "MAP", "mrr": "MRR", "ndcg": "nDCG"}


def page_variables(report: LearningReport) -> dict[str, Any]:
    """Make what the page ``learning.html`` is rendered with.

    Args:
        report: The report.

    Returns:
        The variables: the report as plain data, and what the page would have to compute.
    """
    return {
        "title": f"Learning report: {report.name}",
        "report": report.model_dump(mode="json"),
        "roles": [_ROLES[model.role] for model in report.models],
        "change": _change(report),
        "missing": _missing(report),
        "charts": _charts(report),
        "estimates": _estimates(report.models),
        "tables": [
            {"title": title, "rows": rows}
            for title, rows in (
                ("Held-out questions", _figure_rows([model.figures for model in report.models])),
                ("General check", _figure_rows([model.general for model in report.models])),
            )
            if rows
        ],
        "reasons": _reasons(report),
        "metric": _figure_name(report.training.metric) if report.training else None,
        "settings": dict(_settings(report.settings)),
    }


def _change(report: LearningReport) -> dict[str, str] | None:
    """Say what the gate looked at, in figures; ``None`` when it was not asked."""
    if report.decision is None:
        return None
    target = report.decision.target
    low, high = target.interval
    return {
        "figure": _figure_name(target.figure),
        "before": decimal(target.base),
        "after": decimal(target.tuned),
        "before_name": _before(report.models),
        "difference": signed(target.difference),
        "interval": f"{signed(low)} to {signed(high)}",
        "confidence": _percent(target.confidence),
    }


def _before(models: Sequence[MeasuredModel]) -> str:
    """Name the model that the tuned one is compared with."""
    return _ROLES["in_use" if any(model.role == "in_use" for model in models) else "base"]


def _missing(report: LearningReport) -> list[dict[str, Any]]:
    """Say what it takes to begin, beside what there is; nothing when there is enough."""
    data = report.data
    questions = 0 if data.held_out is None else data.held_out.questions
    found = (
        ("training pairs", data.training_pairs, data.missing_pairs),
        ("held-out questions", questions, data.missing_questions),
    )
    if not any(missing for _, _, missing in found):
        return []
    return [
        {"what": what, "have": have, "need": have + missing if missing else None, "missing": missing}
        | {"bar": draw_share(have / max(1, have + missing))}
        for what, have, missing in found
    ]


def _charts(report: LearningReport) -> dict[str, TrustedHTML | None]:
    metrics = report.data.metrics
    return {
        "difference": None,
        "questions": None,
        "losses": None,
        "validation": None,
        "flow": draw_flow("flow", metrics),
        "flow_upright": draw_flow("flow-upright", metrics, upright=True),
        **(_gate_charts(report.decision) if report.decision else {}),
        **(_training_charts(report.training) if report.training else {}),
    }


def _gate_charts(decision: Decision) -> dict[str, TrustedHTML]:
    target = decision.target
    rows = [("Held-out", target), *([("General", decision.general)] if decision.general else [])]
    differences = [Estimate(label, "change", one.difference, *one.interval) for label, one in rows]
    return {
        "difference": draw_estimates("difference", "What changed", differences, change=True),
        "questions": draw_questions("single-questions", won=target.won, tied=target.tied, lost=target.lost),
    }


def _training_charts(training: TrainingAccount) -> dict[str, TrustedHTML | None]:
    name = _figure_name(training.metric)
    losses, validation = training.losses, training.validation
    return {
        "losses": draw_losses("losses", losses) if losses else None,
        "validation": draw_validation("validation", name, validation, training.best_step) if validation else None,
    }


def _estimates(models: Sequence[MeasuredModel]) -> list[dict[str, Any]]:
    """Draw the first figures, each by all models."""
    drawn = []
    for number, name in enumerate(_names([model.figures for model in models])[:_DRAWN], start=1):
        rows = [
            Estimate(_ROLES[model.role], model.role.replace("_", "-"), found.value, found.low, found.high)
            for model in models
            if (found := model.figures.get(name)) is not None
        ]
        title = _figure_name(name)
        drawn.append({"title": title, "chart": draw_estimates(f"estimates-{number}", title, rows)})
    return drawn


def _figure_rows(figures: Sequence[Mapping[str, FigureEstimate]]) -> list[dict[str, Any]]:
    """Return a row for each figure: its name, and what each model has."""
    return [
        {"figure": _figure_name(name), "cells": [_cell(found.get(name)) for found in figures]}
        for name in _names(figures)
    ]


def _cell(found: FigureEstimate | None) -> dict[str, str] | None:
    if found is None:
        return None
    interval = ""
    if found.low is not None and found.high is not None:
        interval = f"{decimal(found.low)} to {decimal(found.high)}"
    return {"value": decimal(found.value), "interval": interval}


def _names(figures: Sequence[Mapping[str, FigureEstimate]]) -> list[str]:
    return list(dict.fromkeys(name for found in figures for name in found))


def _figure_name(name: str) -> str:
    kind, separator, depth = name.partition("@")
    return f"{_FIGURES.get(kind, kind.capitalize())}{separator}{depth}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _reasons(report: LearningReport) -> list[dict[str, Any]]:
    """Return why candidates fell, the most frequent reason first."""
    rejected = report.data.metrics.rejected
    most = max(rejected.values(), default=1)
    return [{"reason": reason, "count": count, "bar": draw_share(count / most)} for reason, count in rejected.items()]


def _settings(values: Mapping[str, JsonValue], before: str = "") -> Iterator[tuple[str, str]]:
    """Write each setting as JSON, those of a section with its name in front."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _settings(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", json.dumps(value, ensure_ascii=False)
