"""How versions of models and their figures are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ragtime.cli.output import print_json, print_line, print_table
from ragtime.storage.registry import Figure, ModelVersion, StageChange, figures_of
from ragtime.storage.registry.records import SHORT

if TYPE_CHECKING:
    from datetime import datetime

    from ragtime.services.model_finetuner.comparison import Comparison

__all__ = [
    "figures_beside",
    "summary",
    "tell_change",
    "tell_comparisons",
    "tell_figures",
    "tell_version",
    "version_row",
]

_SHOWN_DEPTH = "@10"
_MEBIBYTE = 2**20
_STAGES = {"candidate": "a candidate", "production": "in production", "retired": "retired"}


def summary(version: ModelVersion) -> dict[str, Any]:
    """Return what JSON tells of a version: all but its files."""
    return {**version.model_dump(mode="json", exclude={"files"}), "bytes": version.bytes}


def tell_change(version: ModelVersion, *, as_json: bool) -> None:
    """Print what became of a version."""
    if as_json:
        print_json(summary(version))
    else:
        print_line(f"{version.name}@{version.short} is {_STAGES[version.stage]}")


def version_row(version: ModelVersion) -> Sequence[str]:
    """Return the cells of a version in a list."""
    time, size = _told_time(version.registered_at), _told_size(version.bytes)
    return version.name, version.short, version.stage, time, size, version.parent or ""


def tell_version(version: ModelVersion, changes: Sequence[StageChange], *, all_figures: bool) -> None:
    """Print what is known of a version, and the history of its model."""
    print_table(("fact", "value"), _facts(version), title=version.reference)
    figures = _figures(version, all_figures=all_figures)
    if figures:
        shown = [(name, str(figure)) for name, figure in figures.items()]
        print_table(("figure", "value"), shown, title="Figures, with their intervals")
    files = [(name, _told_size(file.bytes), file.sha256) for name, file in version.files.items()]
    print_table(("file", "size", "sha256"), files, title="Files")
    rows = [(_told_time(one.at), one.action, one.version[:SHORT], one.reason or "") for one in changes]
    print_table(("when", "change", "version", "reason"), rows, title="History")


def figures_beside(base: ModelVersion, tuned: ModelVersion) -> dict[str, Any]:
    """Return what JSON tells of the figures of two versions, by name; ``None`` where one has no such figure."""
    found = {"base": figures_of(base.metrics), "tuned": figures_of(tuned.metrics)}
    return {
        name: {side: figures[name]._asdict() if name in figures else None for side, figures in found.items()}
        for name in dict.fromkeys([*found["base"], *found["tuned"]])
    }


def tell_figures(base: ModelVersion, tuned: ModelVersion, *, all_figures: bool) -> None:
    """Print the figures of two versions side by side."""
    first, second = (_figures(version, all_figures=all_figures) for version in (base, tuned))
    heads = [f"{version.name}@{version.short} ({version.stage})" for version in (base, tuned)]
    rows = [
        [name, *(str(figures[name]) if name in figures else "" for figures in (first, second))]
        for name in dict.fromkeys([*first, *second])
    ]
    if rows:
        print_table(["figure", *heads], rows, title="Figures, with their intervals")
    else:
        print_line(f"Nothing was measured of {' and '.join(heads)}")


def tell_comparisons(compared: Sequence[Comparison], figure: str) -> None:
    """Print comparisons question by question, or that there is none and what it takes."""
    if not compared:
        print_line(
            f"Evaluations of both on the same questions are not kept, so that {figure} cannot be compared question by "
            "question: register them with --evaluation"
        )
        return
    rows = [
        [
            one.data_name,
            f"{one.questions:,}",
            f"{one.base:.4f}",
            f"{one.tuned:.4f}",
            f"{one.difference:+.4f} [{one.interval[0]:+.4f}, {one.interval[1]:+.4f}]",
            f"{one.p_better:.4f}",
            f"{one.won:,} / {one.tied:,} / {one.lost:,}",
        ]
        for one in compared
    ]
    head = ["data", "questions", "base", "tuned", "difference", "p, one-sided", "won / equal / lost"]
    print_table(head, rows, title=f"{figure}, question by question")


def _told_size(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / _MEBIBYTE:.1f} MiB" if count >= _MEBIBYTE else f"{count:,} bytes"


def _figures(version: ModelVersion, *, all_figures: bool) -> dict[str, Figure]:
    """Return the figures of a version; of those at several depths the usual one, unless all are wanted."""
    found = figures_of(version.metrics)
    return {name: found[name] for name in found if all_figures or "@" not in name or name.endswith(_SHOWN_DEPTH)}


def _facts(version: ModelVersion) -> Iterator[tuple[str, str]]:
    yield "stage", version.stage
    yield "registered", _told_time(version.registered_at)
    yield "size", f"{_told_size(version.bytes)}, {len(version.files)} files"
    yield "parent", version.parent or "not known"
    yield "data sets", ", ".join(version.dataset_ids) or "not known"
    yield "settings", version.settings_hash or "not known"
    yield "packages", ", ".join(f"{name} {number}" for name, number in version.packages.items()) or "not known"
    for role, prompt in version.prompts.items():
        yield f"prompt, {role}", prompt


def _told_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
