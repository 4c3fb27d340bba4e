"""``ragtime models …``: the registry of models: which there are, which is in production, and the way back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ragtime.cli.model_text import (
    figures_beside,
    summary,
    tell_change,
    tell_comparisons,
    tell_figures,
    tell_version,
    version_row,
)
from ragtime.cli.output import print_json, print_line, print_table
from ragtime.errors import InvalidArgumentError
from ragtime.storage.registry import ModelRegistry, ModelVersion, TamperedModelError
from ragtime.storage.registry.records import SHORT
from ragtime.storage.registry.references import split_reference

__all__ = ["compare", "delete", "list_versions", "promote", "register", "rollback", "show"]

Reference = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="The version; its first digits are enough.")]
OptionalVersion = Annotated[
    str, typer.Argument(metavar="NAME[@VERSION]", help="The version; the one in production when none is given.")
]
Root = Annotated[
    Path | None,
    typer.Option("--registry", metavar="FOLDER", help="The registry; registry in the data folder when none is given."),
]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; noted in the history.")]
AllFigures = Annotated[bool, typer.Option("--all", help="All figures, at every depth.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the model is called in the registry.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the model, which is copied.")],
    *,
    evaluation: Annotated[
        list[Path] | None,
        typer.Option("--evaluation", metavar="FILE", help="What ragtime evaluate --json printed; several times."),
    ] = None,
    parent: Annotated[
        str | None, typer.Option(help="What it was trained from; the folder tells when none is given.")
    ] = None,
    registry: Root = None,
    as_json: AsJson = False,
) -> None:
    """Add a model to the registry, as a candidate. The same files again are the same version.

    Examples:

      ragtime models register support models/all-MiniLM-L6-v2-full-6ee3543b

      ragtime evaluate data --model models/tuned --json > held-out.json

      ragtime models register support models/tuned --evaluation held-out.json
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.cli.model_evaluations import read_result  # noqa: PLC0415 - heavy: only when it runs
    from ragtime.services.model_finetuner.versions import register_model  # noqa: PLC0415

    version = register_model(
        folder,
        name,
        registry=ModelRegistry(root=registry),
        parent=parent,
        evaluations=[read_result(path) for path in evaluation or ()],
    )
    tell_change(version, as_json=as_json)


def list_versions(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The model; all when none is given.")] = None,
    *,
    registry: Root = None,
    as_json: AsJson = False,
) -> None:
    """List models and their versions, in the order in which they were registered.

    Example:

      ragtime models list support
    """  # noqa: D412 - typer shows this text as it is
    found = ModelRegistry(root=registry).list_versions(name)
    if as_json:
        print_json([summary(version) for version in found])
        return
    head = ("model", "version", "stage", "registered", "size", "parent")
    print_table(head, map(version_row, found), title="Model registry")


def show(
    version: OptionalVersion, *, all_figures: AllFigures = False, registry: Root = None, as_json: AsJson = False
) -> None:
    """Show a version: where it came from, what was measured, its files, and the history of the model.

    Examples:

      ragtime models show support

      ragtime models show support@3f6c9b21
    """  # noqa: D412 - typer shows this text as it is
    known = ModelRegistry(root=registry)
    found = _get(known, version)
    changes = known.history(found.name)
    if as_json:
        print_json({**found.model_dump(mode="json"), "history": [change.model_dump(mode="json") for change in changes]})
        return
    tell_version(found, changes, all_figures=all_figures)


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="NAME@VERSION, or NAME for the one in production.")],
    tuned: Annotated[str, typer.Argument(metavar="TUNED", help="The other version, in the same form.")],
    *,
    figure: Annotated[str, typer.Option("--figure", help="What is compared question by question.")] = "ndcg@10",
    all_figures: AllFigures = False,
    registry: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show what was measured of two versions side by side.

    Where evaluations of both on the same questions were registered, they are compared question by question, too, with
    the tests that the gate uses.

    Example:

      ragtime models compare support support@3f6c9b21
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.services.model_finetuner.versions import compare_versions  # noqa: PLC0415 - heavy: only when it runs

    known = ModelRegistry(root=registry)
    first, second = (_get(known, reference) for reference in (base, tuned))
    compared = compare_versions(first.reference, second.reference, registry=known, figure=figure)
    if as_json:
        comparisons = [one.summary().model_dump(mode="json") for one in compared]
        told = {"base": summary(first), "tuned": summary(second)}
        print_json({**told, "figures": figures_beside(first, second), "comparisons": comparisons})
        return
    tell_figures(first, second, all_figures=all_figures)
    tell_comparisons(compared, figure)


def promote(version: Reference, *, reason: Reason = None, registry: Root = None, as_json: AsJson = False) -> None:
    """Put a version in production, and retire the one that was.

    Example:

      ragtime models promote support@3f6c9b21 --reason "+0.04 nDCG@10 on the held-out questions"
    """  # noqa: D412 - typer shows this text as it is
    name, wanted = _split(version, "promote")
    tell_change(ModelRegistry(root=registry).promote(name, wanted, reason=reason), as_json=as_json)


def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model.")],
    *,
    reason: Reason = None,
    registry: Root = None,
    as_json: AsJson = False,
) -> None:
    """Put the version before in production again.

    Example:

      ragtime models rollback support --reason "users complained"
    """  # noqa: D412 - typer shows this text as it is
    tell_change(ModelRegistry(root=registry).rollback(name, reason=reason), as_json=as_json)


def delete(
    version: Reference,
    *,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    registry: Root = None,
    as_json: AsJson = False,
) -> None:
    """Remove a version and its files, never the one in production. Asks first.

    Example:

      ragtime models delete support@3f6c9b21 --yes
    """  # noqa: D412 - typer shows this text as it is
    name, wanted = _split(version, "delete")
    known = ModelRegistry(root=registry)
    if not yes and not _is_in_production(known, name, wanted):  # else the registry says why not
        _ask(f"{name}@{wanted}")
    known.delete(name, wanted, reason=reason)
    deleted = known.history(name)[-1].version
    if as_json:
        print_json({"deleted": f"{name}@{deleted}"})
    else:
        print_line(f"{name}@{deleted[:SHORT]} is deleted")


# --- arguments ------------------------------------------------------------------------------------------------------


def _get(registry: ModelRegistry, reference: str) -> ModelVersion:
    return registry.get(*split_reference(reference.removeprefix("registry:")))


def _split(reference: str, action: str) -> tuple[str, str]:
    name, version = split_reference(reference.removeprefix("registry:"))
    if version is None:
        raise InvalidArgumentError(
            f"Name the version to {action}, as {name}@VERSION; ragtime models list {name} shows them"
        )
    return name, version


def _is_in_production(registry: ModelRegistry, name: str, version: str) -> bool:
    try:
        return registry.get(name, version).stage == "production"
    except TamperedModelError:  # a damaged version can be deleted, too
        return False


def _ask(reference: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgumentError("There is nobody to ask: say --yes to delete without a question")
    if not typer.confirm(f"Delete {reference} for good?", err=True):
        raise typer.Exit(1)
