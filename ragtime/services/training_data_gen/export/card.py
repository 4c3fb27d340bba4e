"""The card of a data set: what is in it, where it came from, and what fell."""

from __future__ import annotations

from collections.abc import Mapping

from ragtime.services.training_data_gen.ledger import GenerationMetrics

__all__ = ["dataset_card"]


def dataset_card(
    dataset_id: str, metrics: GenerationMetrics, parts: Mapping[str, int], settings: Mapping[str, object], shape: str
) -> str:
    """Write the card as Markdown.

    Args:
        dataset_id: Id of the data set.
        metrics: The account of the run.
        parts: Examples of each part.
        settings: The settings that shaped it.
        shape: The shape of the rows of the parts.

    Returns:
        The text; it has the numbers of the metrics, and none of their durations.
    """
    balance, diversity = metrics.balance, metrics.diversity
    lines = [
        f"# Data set {dataset_id}",
        "",
        f"{metrics.produced:,} examples for training a retrieval model, made by ragtime.",
        "",
        "## Parts",
        "",
        f"Rows have the shape `{shape}`. No query, passage, document or conversation is in two parts.",
        "",
        *_table(["part", "examples"], [[name, f"{count:,}"] for name, count in parts.items()]),
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


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
