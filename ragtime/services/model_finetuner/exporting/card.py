"""The card of an exported model: what it is, how it was made, how good it is, and how to serve it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ragtime.services.model_finetuner.comparison import ComparisonSummary
from ragtime.services.model_finetuner.exporting.manifest import REQUIREMENTS_NAME, SUMS_NAME, ExportFacts
from ragtime.services.model_finetuner.exporting.source import ExportSource

if TYPE_CHECKING:
    from pydantic import JsonValue

__all__ = ["COMPARISON_PLOT", "TRAINING_PLOT", "model_card"]

TRAINING_PLOT = "plots/training.svg"
COMPARISON_PLOT = "plots/comparison.svg"

_FRONT_MATTER = (
    "---",
    "library_name: sentence-transformers",
    "pipeline_tag: sentence-similarity",
    "tags:",
    "- sentence-transformers",
    "- feature-extraction",
    "- ragtime",
    "---",
    "",
)
_SHOWN_DEPTH = "@10"  # of figures at several depths
_NOTHING: tuple[JsonValue, ...] = (None, {}, [])  # options that were left open, counts of nothing


def model_card(
    name: str,
    facts: ExportFacts,
    source: ExportSource,
    comparisons: Sequence[ComparisonSummary],
    instructions: str,
) -> str:
    """Write the card as Markdown, with the front matter that model hubs read.

    Args:
        name: What the export is called.
        facts: What it tells of itself.
        source: What is known of the model.
        comparisons: Comparisons with its base.
        instructions: How to serve it.

    Returns:
        The text; the same for the same input.
    """
    lines = [
        *_FRONT_MATTER,
        f"# {name}",
        "",
        f"An embedding model for retrieval, exported by ragtime for the target `{facts.target}`.",
        "",
        *_table(["", ""], _what_it_is(facts)),
        "",
        "## Serving",
        "",
        instructions,
        "",
        *_figures(source, comparisons),
        *_training(source),
        "## Check",
        "",
        "The files are those that were exported, and give the same embeddings on your machine:",
        "",
        "```console",
        f"$ ragtime models check {name}",
        "```",
        "",
        f"Without ragtime, `sha256sum -c {SUMS_NAME}` in the folder compares the files. This card is not among them:",
        "add to it what your users have to know.",
        "",
        f"The versions in `{REQUIREMENTS_NAME}` are those of the export. Other versions, and other processors, may",
        f"round otherwise; differences of up to {facts.tolerance:.0e} pass.",
    ]
    return "\n".join(lines) + "\n"


def _what_it_is(facts: ExportFacts) -> list[list[str]]:
    prompts = [f"{role}: {_code(prompt)}" for role, prompt in sorted(facts.prompts.items()) if prompt]
    length = "any" if facts.max_seq_length is None else f"{facts.max_seq_length:,} tokens"
    unit = "by a module that the export has added" if facts.normalization_added else "by the model itself"
    return [
        ["model", _code(facts.model)],
        ["trained from", "not known" if facts.base_model is None else _code(facts.base_model)],
        ["vectors", f"{facts.dimension:,} numbers, brought to unit length {unit}; compared by cosine"],
        ["longest text", f"{length}; what is longer is cut" if facts.max_seq_length is not None else length],
        ["prompts", "; ".join(prompts) or "none"],
        ["weights", f"{facts.parameters:,}, {facts.dtype}"],
    ]


def _figures(source: ExportSource, comparisons: Sequence[ComparisonSummary]) -> list[str]:
    lines = []
    if comparisons:
        rows = [_compared(one) for one in comparisons]
        head = ["data", "figure", "questions", "base", "tuned", "difference", "p, one-sided"]
        lines += ["### Beside the base model", "", *_table(head, rows), "", f"![Comparison]({COMPARISON_PLOT})", ""]
    if source.registered:
        rows = [[name, str(figure)] for name, figure in source.registered.items()]
        lines += ["### In the registry", "", *_table(["figure", "value, with its interval"], rows), ""]
    elif source.validation:
        rows = [
            [name, f"{source.baseline[name]:.4f}" if name in source.baseline else "", f"{value:.4f}"]
            for name, value in source.validation.items()
            if "@" not in name or name.endswith(_SHOWN_DEPTH)
        ]
        lines += [
            "### Validation",
            "",
            "Of the rows that the run held out and chose its weights by; such figures flatter the model.",
            "",
            *_table(["figure", "base", "tuned"], rows),
            "",
        ]
    return ["## Figures", "", *(lines or ["None were given.", ""])]


def _compared(one: ComparisonSummary) -> list[str]:
    low, high = one.interval
    return [
        one.data_name,
        one.figure,
        f"{one.questions:,}",
        f"{one.base:.4f}",
        f"{one.tuned:.4f}",
        f"{one.difference:+.4f} [{low:+.4f}, {high:+.4f}]",
        f"{one.p_better:.4f}",
    ]


def _training(source: ExportSource) -> list[str]:
    run = source.run
    config, data = (source.training.get(key) for key in ("config", "data"))
    if not config and not data and run is None:
        return []
    lines = ["## Training", ""]
    if run is not None and run.steps:
        kept = f"{run.total_steps:,} of {run.planned_steps:,} steps; kept: step {run.best_step:,}."
        lines += [kept, "", f"![Training]({TRAINING_PLOT})", ""]
    if run is not None and run.choices:
        rows = [[one.name, one.value, one.reason] for one in run.choices]
        lines += [*_table(["chosen by the run", "", "because"], rows), ""]
    for title, values in (("data", data), ("configuration", config)):
        if isinstance(values, dict) and values:
            lines += [
                *_table([title, ""], [[key, _value(value)] for key, value in values.items() if value not in _NOTHING]),
                "",
            ]
    return lines


def _value(value: JsonValue) -> str:
    return _code(value) if isinstance(value, str) else _code(json.dumps(value, ensure_ascii=False))


def _code(text: str) -> str:
    """Write text as code, which no Markdown in it leaves."""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    padding = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{padding}{' '.join(text.splitlines())}{padding}{fence}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(" ".join(cell.splitlines()).replace("|", "\\|") for cell in row) + " |" for row in cells]
