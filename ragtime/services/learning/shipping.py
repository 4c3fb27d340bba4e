"""From a tuned model to the registry, and into production if the gate says so; each step is done once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ragtime.errors import BackendError, InvalidArgumentError, StorageError
from ragtime.monitoring.logging import get_logger
from ragtime.records.base import Identifier, Record
from ragtime.services.learning.measuring import Measured
from ragtime.services.model_finetuner import EvaluationResult
from ragtime.services.model_finetuner.versions import register_model
from ragtime.storage.registry import EvaluationStore, ModelNotFoundError, ModelRegistry, StageChange
from ragtime.storage.registry.records import SHORT
from ragtime.storage.registry.references import split_reference

__all__ = [
    "REGISTRY",
    "Registered",
    "in_production",
    "keep_evaluations",
    "pin_base",
    "promote_once",
    "promotion_of",
    "register",
]

REGISTRY = "registry:"
"""How names of models in the registry begin."""

_log = get_logger(__name__)


class Registered(Record):
    """The tuned model in the registry.

    Attributes:
        version: The whole version.
    """

    version: Identifier


def pin_base(name: str, registry: ModelRegistry) -> str:
    """Name the version that ``registry:NAME`` stands for when a run begins.

    Args:
        name: The name of the base model.
        registry: Where it is looked up.

    Returns:
        ``registry:NAME@VERSION``, with the first digits of the version; any other name as it is.

    Raises:
        BackendError: There is no such model, or no version of it is in production.
    """
    if not name.startswith(REGISTRY):
        return name
    try:
        found = registry.get(*split_reference(name.removeprefix(REGISTRY)))
    except (StorageError, InvalidArgumentError) as error:
        raise BackendError(f"The model {name!r} cannot be used: {error}") from error
    return f"{REGISTRY}{found.name}@{found.short}"


def in_production(registry: ModelRegistry, name: str) -> str | None:
    """Return the version of a model that is in production; ``None`` when there is none."""
    try:
        return registry.get(name).version
    except ModelNotFoundError:
        return None


def register(
    folder: Path, name: str, registry: ModelRegistry, *, evaluations: Sequence[EvaluationResult]
) -> Registered:
    """Add the tuned model to the registry as a candidate; one that is there stays what it is.

    Args:
        folder: The model, which tells what it was trained from, and on what.
        name: What it is called in the registry.
        registry: The registry.
        evaluations: What was measured of it; of two on the same data, the first counts.

    Returns:
        The version.

    Raises:
        BackendError: The folder holds no model.
        StorageError: It cannot be read or copied.
    """
    distinct = {one.data_fingerprint: one for one in reversed(evaluations)}
    version = register_model(folder, name, registry=registry, evaluations=list(distinct.values()))
    return Registered(version=version.version)


def keep_evaluations(registry: ModelRegistry, name: str, version: str, measured: Measured) -> None:
    """Keep with a version what was measured of it, so that it can be compared with later ones.

    Args:
        registry: The registry.
        name: The model.
        version: Its version.
        measured: What was measured.

    Raises:
        StorageError: It cannot be written.
    """
    store = EvaluationStore(registry)
    for one in (measured.general, measured.held_out):
        store.add(name, version, data=one.data_fingerprint, result=one.model_dump(mode="json"))


def promotion_of(registry: ModelRegistry, name: str, version: str, run_id: str) -> StageChange | None:
    """Return the change by which a run has put its model in production, even if somebody has undone it since.

    Args:
        registry: The registry, whose history tells what was done, whatever became of the process.
        name: The model.
        version: The version.
        run_id: The run.

    Returns:
        The change; ``None`` when the run has not.

    Raises:
        StorageError: The history is damaged, or cannot be read.
    """
    return next(
        (
            change
            for change in registry.history(name)
            if change.action == "promote"
            and change.version == version
            and (change.reason or "").startswith(_mark(run_id))
        ),
        None,
    )


def promote_once(registry: ModelRegistry, name: str, version: str, run_id: str, *, reason: str) -> None:
    """Put a version in production, unless this run has done so.

    Args:
        registry: The registry.
        name: The model.
        version: The version.
        run_id: The run.
        reason: Why; noted in the history.

    Raises:
        StorageError: The version is not what was registered, or the change cannot be written.
    """
    if promotion_of(registry, name, version, run_id) is not None:
        _log.info("The model was promoted already", model=name, version=version[:SHORT], run=run_id)
        return
    registry.promote(name, version, reason=f"{_mark(run_id)} {reason}")


def _mark(run_id: str) -> str:
    return f"learning run {run_id}:"
