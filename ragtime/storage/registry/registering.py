"""Adding a version: what is in a folder, whether it is there already, and its copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ragtime.errors import InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.storage.registry.errors import TamperedModelError
from ragtime.storage.registry.files import describe_files, version_of
from ragtime.storage.registry.records import ModelFile, ModelVersion, StageChange, VersionManifest
from ragtime.storage.registry.shelf import Shelf
from ragtime.storage.registry.stages import Stages

__all__ = ["add_version", "describe_model", "describe_version"]

_log = get_logger(__name__)


def describe_model(folder: Path, root: Path) -> Mapping[str, ModelFile]:
    """Look at the files of a model that is to be registered.

    Args:
        folder: The folder of the model.
        root: The folder of the registry.

    Returns:
        Size and hash of each file, by its path in the folder.

    Raises:
        InvalidArgumentError: It is no folder, holds no file or something that is none, or holds the registry.
        StorageError: It cannot be read.
    """
    if not folder.is_dir():
        raise InvalidArgumentError(f"There is no folder '{folder}'; a model is a folder")
    if root.resolve().is_relative_to(folder.resolve()):
        raise InvalidArgumentError(f"'{folder}' holds the registry itself; give the folder of a model")
    try:
        files = describe_files(folder)
    except OSError as error:
        raise StorageError(f"Cannot read '{error.filename or folder}': {error.strerror or error}") from error
    if not files:
        raise InvalidArgumentError(f"There is no file in '{folder}'; give the folder of a model")
    return files


def describe_version(files: Mapping[str, ModelFile], **fields: Any) -> VersionManifest:
    """Write down what is known of a version.

    Args:
        files: Its files.
        **fields: The other fields of a manifest, but for the version.

    Returns:
        The manifest.

    Raises:
        InvalidArgumentError: A field is wrong; names it, and quotes no value.
    """
    try:
        return VersionManifest(files=files, version=version_of(files), **fields)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        )
    raise InvalidArgumentError(f"Cannot register the model: {problems}")  # out here: the other one holds the values


def add_version(
    shelf: Shelf, folder: Path, manifest: VersionManifest, clock: Callable[[], datetime]
) -> tuple[ModelVersion, bool]:
    """Add a copy of a model, unless it is there.

    Args:
        shelf: Where to.
        folder: The folder of the model.
        manifest: What is known of it.
        clock: Returns the time of the change, in UTC.

    Returns:
        The version, and whether it was there already.

    Raises:
        StorageError: It cannot be read or copied; nothing is left of it.
    """
    found = _find(shelf, manifest)
    if found is not None:
        return found, True
    with shelf.staged(folder, manifest) as staged, shelf.locked():
        found = _find(shelf, manifest)  # another process may have been faster
        return (found, True) if found is not None else (_publish(shelf, manifest, staged, clock), False)


def _find(shelf: Shelf, manifest: VersionManifest) -> ModelVersion | None:
    """Return the version that has these files; ``None`` when there is none, or only a damaged one."""
    stages = shelf.read_stages() or Stages()
    stage = stages.stages.get(manifest.version)
    if stage is None:
        return None
    told = {"model": shelf.name, "version": manifest.short}
    try:
        known = shelf.check(manifest.version)
    except TamperedModelError as error:
        _log.warning("A damaged version is to be replaced by its original", extra={**told, "why": str(error)})
        return None
    if known != manifest.model_copy(update={"registered_at": known.registered_at}):
        _log.warning("These files are registered already; what was said of them first stands", extra=told)
    return ModelVersion(**dict(known), stage=stage)


def _publish(shelf: Shelf, manifest: VersionManifest, staged: Path, clock: Callable[[], datetime]) -> ModelVersion:
    stages = shelf.read_stages() or Stages()
    shelf.sweep(stages)  # first: what is left of a deleted version would be in the way
    shelf.publish(staged, manifest.version)
    if manifest.version not in stages.stages:  # else it replaces a damaged one, in whatever stage that is
        stages = stages.after(StageChange(action="register", version=manifest.version, at=clock()))
        shelf.write_stages(stages)
    return ModelVersion(**dict(manifest), stage=stages.stages[manifest.version])
