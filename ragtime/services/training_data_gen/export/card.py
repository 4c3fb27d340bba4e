"""The card of a data set: what is in it, where it came from, and what fell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragtime.services.training_data_gen.ledger import GenerationMetrics

__all__ = ["dataset_card"]


def dataset_card(metrics: GenerationMetrics, manifest: Mapping[str, Any]) -> str:
    """Write the card as Markdown.

    Args:
        metrics: The account of the run.
        manifest: Says what was written, as ``manifest.json``.

    Returns:
        The text; it has the numbers of metrics and manifest, and none of their durations.
    """
    balance, diversity = metrics.balance, metrics.diversity
    settings: Mapping[str, object] = manifest["settings"]
    lines = [
        f"# Data set {manifest['id']}",
        "",
        f"{metrics.produced:,} examples for training a retrieval model, made by ragtime.",
        "",
        "## Parts",
        "",
        f"Rows have the shape `{manifest['shape']}`. No query, passage, document or conversation is in two parts.",
        "",
        *_parts(manifest),
        "",
        "## Kinds",
        "",
        *_table(
            ["", "examples"],
            [
                *[[f"by {name}", f"{count:,}"] for name, count in balance.by_strategy.items()],
                ["response fits", f"{balance.positive:,}"],
                ["response does not fit", f"{balance.negative:,}"],
                ["guessed pairs (weak)", f"{balance.weak:,}"],
                ["with negatives", f"{balance.with_negatives:,}"],
                ["different queries", f"{diversity.queries:,}"],
                ["different responses", f"{diversity.responses:,}"],
            ],
        ),
        "",
        "## What became of every candidate",
        "",
        *_table(
            ["stage", "strategy", "candidates", "kept", "rejected"],
            [
                [
                    stage.stage,
                    stage.strategy,
                    f"{stage.candidates:,}",
                    f"{stage.kept:,}",
                    "; ".join(f"{count:,} × {reason}" for reason, count in stage.rejected.items()) or "–",
                ]
                for stage in (*metrics.sources, *metrics.stages)
            ],
        ),
        "",
        "## Settings",
        "",
        *_table(["setting", "value"], [[name, str(value)] for name, value in settings.items()]),
    ]
    if metrics.notes:
        lines += ["", "## Notes", "", *[f"- {note}" for note in metrics.notes]]
    return "\n".join(lines) + "\n"


def _parts(manifest: Mapping[str, Any]) -> list[str]:
    """Tell the examples of each part, and its rows where these are another number; what is missing, and why."""
    examples: Mapping[str, int] = manifest["parts"]
    rows: Mapping[str, int] = manifest["rows"]
    if examples == rows:
        lines = _table(["part", "examples"], [[name, f"{count:,}"] for name, count in examples.items()])
    else:
        lines = _table(
            ["part", "examples", "rows"], [[name, f"{count:,}", f"{rows[name]:,}"] for name, count in examples.items()]
        )
    told = [
        f"- `{name}` leaves out {count:,} of its examples: {reason}."
        for name, reasons in manifest["left_out"].items()
        for reason, count in reasons.items()
    ]
    told += [
        f"- `{name}` missed its share of the examples: {reason}."
        for name, reason in manifest["split"]["misses"].items()
    ]
    return [*lines, "", *told] if told else lines


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
