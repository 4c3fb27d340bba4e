"""``ragtime lineage``: from a model back to what taught it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ragtime.cli.conversation_text import excerpt
from ragtime.cli.output import print_json, print_line, print_table
from ragtime.storage.registry import ModelRegistry

if TYPE_CHECKING:
    from ragtime.services.learning.lineage import ModelTrace, TaughtTurn, TracedDataset, TracedExample, TracedModel

__all__ = ["lineage"]

_SHOWN_IDS = 3
_DIGITS = 12
_KINDS: Mapping[str, str] = {"feedback": "ratings", "context_turns": "turns as context", "examples": "examples before"}


def lineage(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION in the registry, or the folder of a model.")
    ],
    *,
    turns: Annotated[bool, typer.Option("--turns", help="List the turns that it was made of, too.")] = False,
    turn: Annotated[
        str | None, typer.Option("--turn", metavar="ID", help="Show the examples that this turn has taught it.")
    ] = None,
    document: Annotated[
        str | None, typer.Option("--document", metavar="ID", help="Show the examples of this document.")
    ] = None,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder", metavar="FOLDER", help="Look for data sets here, too, besides the data folder; several times."
        ),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option("--registry", metavar="FOLDER", help="The registry; that of the data folder when none is given."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Walk from a model back to the data sets, users, turns, ratings and documents that taught it.

    What was deleted is told of as missing. For turns and examples, the data sets are read once more.

    Examples:

      ragtime lineage support

      ragtime lineage support@3f6c9b21 --turns

      ragtime lineage models/all-MiniLM-L6-v2-full-6ee3543b --document returns.md
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.services.learning.lineage import (  # noqa: PLC0415 - heavy: only when it runs
        taught_turns,
        trace_model,
        traced_examples,
    )

    trace = trace_model(
        model, registry=None if registry is None else ModelRegistry(root=registry), folders=folder or ()
    )
    listed = taught_turns(trace) if turns else None
    wanted = turn is not None or document is not None
    examples = traced_examples(trace, turn_id=turn, document_id=document) if wanted else None
    if as_json:
        print_json(_as_json(trace, listed, examples))
        return
    _tell(trace)
    if listed is not None:
        head = ("user", "conversation", "turn", "examples", "as context")
        print_table(head, map(_turn_row, listed), title="Turns")
    if examples is not None:
        print_table(("data set", "example", "made by", "query"), map(_example_row, examples), title="Examples")


def _as_json(
    trace: ModelTrace, turns: Sequence[TaughtTurn] | None, examples: Iterator[TracedExample] | None
) -> dict[str, Any]:
    told: dict[str, Any] = trace.model_dump(mode="json")
    if turns is not None:
        told["turns"] = [one._asdict() for one in turns]
    if examples is not None:
        told["examples"] = [{**one._asdict(), "lineage": one.lineage.model_dump(mode="json")} for one in examples]
    return told


def _tell(trace: ModelTrace) -> None:
    models = [trace.model, *trace.parents]
    print_table(("model", "stage", "trained from", "data sets"), map(_model_row, models), title="Models")
    if trace.base is not None:
        print_line(f"It began with {trace.base}")
    if trace.datasets:
        head = ("data set", "examples", "not readable", "made by", "folder")
        print_table(head, map(_dataset_row, trace.datasets), title="Data sets")
    rows = [(_KINDS.get(kind, kind), f"{len(ids):,}", _some(ids)) for kind, ids in trace.ids.items()]
    if rows:
        print_table(("came from", "how many", "which"), rows, title="What taught it")
    for one in trace.missing:
        print_line(f"Missing: {one}")
    for dataset in trace.datasets:
        for problem in dataset.problems:
            print_line(f"Data set {dataset.id}: {problem}")


def _some(ids: Sequence[str]) -> str:
    more = f" … and {len(ids) - _SHOWN_IDS:,} more" if len(ids) > _SHOWN_IDS else ""
    return ", ".join(ids[:_SHOWN_IDS]) + more


def _model_row(model: TracedModel) -> Sequence[str]:
    return model.name, model.stage or "", model.parent or "not known", ", ".join(model.dataset_ids)


def _dataset_row(dataset: TracedDataset) -> Sequence[str]:
    made = ", ".join(f"{count:,} {name}" for name, count in dataset.strategies.items())
    where = "missing" if dataset.folder is None else str(dataset.folder)
    return dataset.id, f"{dataset.examples:,}", f"{dataset.damaged:,}", made, where


def _turn_row(turn: TaughtTurn) -> Sequence[str]:
    return turn.user_id or "", turn.conversation_id or "", turn.turn_id, str(turn.examples), str(turn.as_context)


def _example_row(example: TracedExample) -> Sequence[str]:
    return example.dataset_id, example.id[:_DIGITS], example.strategy, excerpt(example.query)
