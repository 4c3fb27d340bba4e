"""``ragtime models export`` and ``check``: a folder that is ready to be served, and whether it still is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ragtime.cli.models import AsJson, Root
from ragtime.cli.output import print_json, print_line
from ragtime.config.settings import get_settings
from ragtime.errors import InvalidArgumentError
from ragtime.storage.registry import ModelRegistry
from ragtime.storage.registry.references import split_reference

__all__ = ["check", "export"]

_REGISTRY = "registry:"


def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder, or registry:NAME[@VERSION].")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to write, which must not exist.")],
    *,
    target: Annotated[str, typer.Option("--target", help="The form; there is safetensors.")] = "safetensors",
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="NAME@VERSION", help="A version that the card compares a registered model with."
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", metavar="FOLDER", help="The run, for its curves; the one beside the model when none is given."
        ),
    ] = None,
    registry: Root = None,
    as_json: AsJson = False,
) -> None:
    """Write a model to a folder that is ready to be served: weights, pinned versions, hashes, and a card with curves.

    Examples:

      ragtime models export models/all-MiniLM-L6-v2-full-6ee3543b deploy/support

      ragtime models export registry:support deploy/support --base support@3f6c9b21
    """  # noqa: D412 - typer shows this text as it is
    from ragtime.services.model_finetuner.exporting import (  # noqa: PLC0415 - heavy: only when it runs
        choose_exporter,
        export_model,
        open_source,
        read_run,
    )
    from ragtime.services.model_finetuner.versions import compare_versions  # noqa: PLC0415

    exporter, settings = choose_exporter(target), get_settings()
    known = ModelRegistry(settings, root=registry)
    if base is not None and not model.startswith(_REGISTRY):
        raise InvalidArgumentError("--base compares two versions of the registry: name the model as registry:NAME, too")
    source = open_source(model, settings, registry=known, run=None if run is None else read_run(run))
    compared = [] if base is None else compare_versions(_plain(base), _plain(model), registry=known)
    exported = export_model(source, folder, exporter, comparisons=compared, device=settings.embedding.device)
    if as_json:
        facts = exported.facts.model_dump(mode="json")
        print_json({"path": str(exported.path), "digest": exported.digest, **facts})
        return
    print_line(f"{exported.facts.model} is exported to {exported.path}")
    print_line(f"Digest: {exported.digest}")


def check(
    place: Annotated[str, typer.Argument(metavar="FOLDER", help="An export, or registry:NAME[@VERSION].")],
    *,
    digest: Annotated[str | None, typer.Option(help="What the digest of the export was when it was made.")] = None,
    registry: Root = None,
    as_json: AsJson = False,
) -> None:
    """Check that an export is what was exported, and gives the same embeddings here; or the files of a version.

    Examples:

      ragtime models check deploy/support

      ragtime models check registry:support@3f6c9b21
    """  # noqa: D412 - typer shows this text as it is
    if place.startswith(_REGISTRY):
        if digest is not None:
            raise InvalidArgumentError("--digest is that of an export: a version of the registry is its own digest")
        _check_version(_plain(place), ModelRegistry(root=registry), as_json=as_json)
    else:
        _check_export(Path(place), digest, as_json=as_json)


def _plain(reference: str) -> str:
    return reference.removeprefix(_REGISTRY)


def _check_version(reference: str, registry: ModelRegistry, *, as_json: bool) -> None:
    found = registry.verify(*split_reference(reference))
    if as_json:
        print_json({"version": found.reference, "stage": found.stage, "files": len(found.files), "bytes": found.bytes})
    else:
        print_line(f"{found.name}@{found.short} ({found.stage}): {len(found.files)} files are what was registered")


def _check_export(folder: Path, digest: str | None, *, as_json: bool) -> None:
    from ragtime.services.model_finetuner.exporting import check_export  # noqa: PLC0415 - heavy: only when it runs

    found = check_export(folder, digest=digest)
    if as_json:
        told = {"target": found.facts.target, "texts": found.texts, "difference": found.difference}
        print_json({"path": str(folder), "digest": found.digest, **told, "other_packages": dict(found.other_packages)})
        return
    print_line(
        f"{folder}: all files are what was exported; the embeddings of {found.texts} texts differ by "
        f"{found.difference:.1e} at most"
    )
    for name, (then, now) in found.other_packages.items():
        print_line(f"{name}: {then} at the export, {now or 'not installed'} here")
    print_line(f"Digest: {found.digest}")
